"""③ The spool: a folder on the user's machine where epochs wait until the server has them.

::

    sondage-spool/
      cifar-resnet18-s3-1f0a93c2/      one folder per run
        run.json                       what makes the run on the server; never the key
        dataset.arrow                  what makes its dataset, where it was not registered before
      probes.json                    which rows are planted probes, if any
        rank0-000012.epoch             a closed epoch (`sondage.recorder.parcel`)
        rank0.json                     how far this process is
        rank0.lock                     held while this process records

Everything is written beside its place, synced and renamed: a file is whole or not there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sondage.errors import Conflict, InvalidInput
from sondage.recorder.parcel import Parcel

DEFAULT_SPOOL = "sondage-spool"
_NOT_THERE = (FileNotFoundError, NotADirectoryError)
_EPOCH_FILE = re.compile(r"rank(\d+)-(\d+)\.epoch")


@dataclass(frozen=True)
class RunSpec:
    """What makes a run on the server, whoever sends it. Holds no key."""

    url: str | None
    project: str
    dataset: str
    run: str
    num_epochs: int | None
    num_examples: int | None
    channels: Mapping[str, str]
    protocol: Mapping[str, Any]
    world_size: int
    client_version: str
    session: str
    """A word of this training, the same from all its ranks and from whoever sends what they left."""
    num_made: int = 0
    """Planted probes that were made; their rows come after those of the examples."""
    suite_id: int | None = None
    """The suite on the server whose own examples are among them."""

    def differences(self, other: RunSpec) -> list[str]:
        """Names of what another recording of the same run may not change."""
        fixed = ("dataset", "num_examples", "channels", "world_size")
        return [name for name in fixed if getattr(self, name) != getattr(other, name)]


@dataclass
class RankState:
    """How far one process is: epochs it has closed, epochs the server has from it, and how the run ended."""

    next_epoch: int = 0
    sent_epochs: int = 0
    finish: str | None = None


class RunFolder:
    """The folder of one run, for one process of it."""

    def __init__(self, path: Path, rank: int) -> None:
        self.path = path
        self.rank = rank
        self._lock: Any = None

    @classmethod
    def of(cls, spool: Path, spec: RunSpec, rank: int) -> RunFolder:
        """Where a run of this project and name waits: the same folder every time."""
        identity = hashlib.sha256(f"{spec.project}\0{spec.run}".encode()).hexdigest()[:8]
        readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{spec.project}-{spec.run}").strip(".-")[:80]
        return cls(spool / f"{readable}-{identity}", rank)

    # ---- who records

    def acquire(self) -> None:
        """Hold the folder for this process.

        Raises
        ------
        Conflict
            Another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        # Locks of this kind are not handed on to forked children, such as the workers of a data loader.
        opened = (self.path / f"rank{self.rank}.lock").open("a")
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            opened.close()
            raise Conflict(
                f"{self.path} is in use: another process records this run, or sends it. Choose another name "
                "with init(run=…), or wait for its end."
            ) from None
        self._lock = opened

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # ---- what makes the run

    def write_spec(self, spec: RunSpec, dataset: bytes | None = None) -> None:
        if dataset is not None:
            _write(self.path / "dataset.arrow", dataset)
        _write(self.path / "run.json", json.dumps(asdict(spec), indent=2).encode())

    def write_probes(self, probes: Sequence[Mapping[str, Any]]) -> None:
        _write(self.path / "probes.json", json.dumps(list(probes)).encode())

    def probes(self) -> list[dict[str, Any]]:
        with contextlib.suppress(*_NOT_THERE):
            found: list[dict[str, Any]] = json.loads((self.path / "probes.json").read_bytes())
            return found
        return []

    def spec(self) -> RunSpec | None:
        with contextlib.suppress(*_NOT_THERE):
            try:
                return RunSpec(**json.loads((self.path / "run.json").read_bytes()))
            except (ValueError, TypeError):
                raise InvalidInput(
                    f"{self.path / 'run.json'} was not written by this version of Sondage: send it with the one "
                    "that wrote it."
                ) from None
        return None

    def dataset(self) -> bytes | None:
        with contextlib.suppress(*_NOT_THERE):
            return (self.path / "dataset.arrow").read_bytes()
        return None

    # ---- how far it is

    def state(self) -> RankState:
        with contextlib.suppress(*_NOT_THERE, ValueError):
            path = self.path / f"rank{self.rank}.json"
            return RankState(**json.loads(path.read_bytes()))
        return RankState()

    def next_epoch(self) -> int:
        """The first that this process has not closed: the state is written later than an epoch is."""
        return max([self.state().next_epoch, *(epoch + 1 for epoch in self.epochs())])

    def write_state(self, state: RankState) -> None:
        _write(self.path / f"rank{self.rank}.json", json.dumps(asdict(state)).encode())

    # ---- epochs

    def epochs(self) -> list[int]:
        """Epochs of this process that wait, the first one first."""
        return sorted(epoch for rank, epoch, _ in self._files() if rank == self.rank)

    def write_epoch(self, parcel: Parcel) -> None:
        _write(self._file(parcel.epoch), parcel.to_bytes())

    def read_epoch(self, epoch: int) -> Parcel:
        """Raises InvalidInput when the file is damaged."""
        path = self._file(epoch)
        try:
            return Parcel.from_bytes(path.read_bytes())
        except InvalidInput as fault:
            raise InvalidInput(f"{path}: {fault}. Delete it to go on without this epoch.") from None

    def delete_epoch(self, epoch: int) -> None:
        self._file(epoch).unlink(missing_ok=True)

    def ranks(self) -> list[int]:
        """Processes that left something here."""
        found = [re.fullmatch(r"rank(\d+)\.(json|lock)", path.name) for path in self.path.iterdir()]
        return sorted({int(match[1]) for match in found if match} | {rank for rank, *_ in self._files()})

    def delete(self) -> None:
        """Remove what this process left, and with the last process the folder."""
        for epoch in self.epochs():
            self.delete_epoch(epoch)
        if not self.path.is_dir():
            return
        for ending in ("json", "lock"):
            (self.path / f"rank{self.rank}.{ending}").unlink(missing_ok=True)
        self.release()
        if not self.ranks():
            for name in ("dataset.arrow", "probes.json", "run.json"):
                (self.path / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another process has begun anew
                self.path.rmdir()

    def _file(self, epoch: int) -> Path:
        return self.path / f"rank{self.rank}-{epoch:06d}.epoch"

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        for path in self.path.glob("rank*.epoch"):
            if match := _EPOCH_FILE.fullmatch(path.name):
                yield int(match[1]), int(match[2]), path


def run_folders(spool: Path) -> list[Path]:
    """Folders of runs below a spool, or the folder itself when it is one."""
    if (spool / "run.json").is_file():
        return [spool]
    return sorted(path.parent for path in spool.glob("*/run.json"))


def _write(path: Path, content: bytes) -> None:
    """Whole and on the disk, or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
