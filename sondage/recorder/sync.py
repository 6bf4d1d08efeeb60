"""③ Sends what recorders left in a spool folder: of runs that were offline, broke off, or outlived their server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sondage.errors import Conflict, InvalidInput, SondageError
from sondage.recorder.courier import Courier, NameTaken, NotYet
from sondage.recorder.spool import RunFolder, RunSpec, checked_name, run_folders

if TYPE_CHECKING:
    from sondage.client import Client

MakeClient = Callable[[RunSpec], "Client"]


@dataclass
class Synced:
    """What became of one run's folder."""

    folder: str
    run: str = ""
    epochs_sent: int = 0
    epochs_left: int = 0
    state: str = "open"
    """finished, failed or aborted where the server knows the end; `open` where the run can be gone on with."""
    fault: SondageError | None = None


def sync(
    spool: Path, make_client: MakeClient, *, end: str | None = None, force: bool = False
) -> Iterator[Synced]:
    """Send run after run, each in order, and delete what has arrived. A fault of one does not keep back the others.

    Parameters
    ----------
    spool : path
        A spool folder, or the folder of one run.
    make_client : callable
        Gives a client for a run.
    end : {"finished", "failed", "aborted"}, optional
        How runs ended that broke off without an end. They stay open when not given.
    force : bool
        Close epochs that wait for ranks whose parts are not here.

    Raises
    ------
    InvalidInput
        There is no such folder.
    """
    if not spool.is_dir():
        raise InvalidInput(f"There is no folder {spool}.", field="folder")
    for path in run_folders(spool):
        synced = Synced(str(path))
        try:
            _sync_run(path, make_client, synced, end, force)
        except NameTaken as fault:
            synced.fault = NameTaken(
                f"{fault} To keep both, send what waits here under another name: sondage sync {path} --rename NAME."
            )
        except SondageError as fault:
            synced.fault = fault
        except OSError as fault:
            synced.fault = InvalidInput(f"{path} cannot be read or tidied up: {fault}.")
        finally:
            synced.epochs_left = sum(len(RunFolder(path, rank).epochs()) for rank in _ranks(path))
        yield synced


def rename(spool: Path, name: str) -> Path:
    """Give the run of a folder another name, as long as the server has nothing of it.

    Ranks whose parts are on other machines are to be given the same name there.

    Parameters
    ----------
    spool : path
        The folder of one run, or a spool folder with no other run in it.

    Returns
    -------
    The run's folder, which goes by the new name.

    Raises
    ------
    InvalidInput
        There is no run, or there are several; or the name is none.
    Conflict
        Somebody records or sends the run; the server has epochs of it; or another run of the new name waits here.
    """
    checked_name("--rename", name)
    found = run_folders(spool) if spool.is_dir() else []
    if len(found) != 1:
        raise InvalidInput(
            f"{spool} holds {len(found) or 'no'} runs, and one can be renamed: name its folder.",
            field="folder",
        )
    folders = _folders(found[0])
    try:
        for folder in folders:
            folder.acquire()
        return _renamed(folders, name)
    finally:
        for folder in folders:
            folder.release()


def _renamed(folders: list[RunFolder], name: str) -> Path:
    path, spec = folders[0].path, folders[0].spec()
    if spec is None:
        raise InvalidInput(f"{path} has no run.json: it is not the folder of a run.", field="folder")
    sent = max(folder.state().sent_epochs for folder in folders)
    if sent:
        raise Conflict(
            f"The server has {sent} epochs of run {spec.run!r} from {path}, which are not here any more: they stay "
            "under that name, and so does the rest."
        )
    new = replace(spec, run=name)
    target = RunFolder.of(path.parent, new, 0).path
    if target != path and target.exists():
        raise Conflict(f"A run named {name!r} waits in {target} already: choose another name.")
    folders[0].write_spec(new)  # first: whatever the folder is called, what it holds is sent under this name
    path.rename(target)
    return target


def _sync_run(path: Path, make_client: MakeClient, synced: Synced, end: str | None, force: bool) -> None:
    folders = _folders(path)
    spec = folders[0].spec()
    if spec is None:
        raise InvalidInput(f"{path} has no run.json: it is not the folder of a run.")
    synced.run = spec.run
    with make_client(spec) as client:
        try:
            for folder in folders:
                folder.acquire()
            for folder in folders:
                _send_rank(folder, spec, client, synced)
            for folder in folders:
                _end_rank(folder, spec, client, synced, end, force)
        finally:
            for folder in folders:
                folder.release()


def _send_rank(folder: RunFolder, spec: RunSpec, client: Client, synced: Synced) -> None:
    courier = _courier(folder, spec, client)
    for epoch in folder.epochs():
        courier.send(folder.read_epoch(epoch))
        synced.epochs_sent += 1


def _end_rank(
    folder: RunFolder, spec: RunSpec, client: Client, synced: Synced, end: str | None, force: bool
) -> None:
    """Delete what has arrived. Where the run is to go on, what waits for other ranks stays."""
    courier = _courier(folder, spec, client)
    courier.begin()
    state = folder.state()
    state.next_epoch = folder.next_epoch()
    state.sent_epochs = state.next_epoch
    folder.write_state(state)
    for epoch in folder.epochs():
        if epoch < courier.next_epoch:
            folder.delete_epoch(epoch)
    ended = state.finish or end
    if ended is None:
        return
    try:
        courier.end(ended, force=force)
    except NotYet:
        raise Conflict(
            f"Run {spec.run} waits for epochs of ranks that are not in {folder.path}: send them from where they "
            "are, or say --force to do without."
        ) from None
    folder.delete()
    synced.state = ended


def _courier(folder: RunFolder, spec: RunSpec, client: Client) -> Courier:
    return Courier(client, spec, folder.rank, folder.dataset(), probes=folder.probes())


def _folders(path: Path) -> list[RunFolder]:
    """One per process; the lowest rank comes last: it ends the run."""
    return [RunFolder(path, rank) for rank in sorted(_ranks(path), reverse=True)] or [RunFolder(path, 0)]


def _ranks(path: Path) -> list[int]:
    return RunFolder(path, 0).ranks() if path.is_dir() else []
