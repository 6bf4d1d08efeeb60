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
import errno
import fcntl
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sondage.bounds import is_utf8
from sondage.errors import Conflict, InvalidInput
from sondage.recorder.parcel import Parcel
from sondage.recorder.trouble import LOG

DEFAULT_SPOOL = "sondage-spool"
_NOT_THERE = (FileNotFoundError, NotADirectoryError)
_HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES)
"""What a lock that is taken gives; anything else means that this file system has no locks."""
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
    examples: Mapping[str, str] | None = None
    """SHA-256 of ids, labels, splits and class names, of those that were given. None: it is not known."""

    def differences(self, other: RunSpec) -> list[str]:
        """Names of what another recording of the same run may not change."""
        fixed = ("dataset", "num_examples", "channels", "world_size")
        found = [name for name in fixed if getattr(self, name) != getattr(other, name)]
        return found + self._other_examples(other)

    def _other_examples(self, other: RunSpec) -> list[str]:
        """What is not said again stays. A run on a registered dataset may be told its ids later, but no labels."""
        if self.examples is None or other.examples is None:
            return []
        given, there = other.examples, self.examples
        comparable = given if there or "labels" in given else {}
        return [name for name, digest in comparable.items() if there.get(name) != digest]


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
        self.give_way: Callable[[], None] | None = None
        """Ends whatever uses the folder in this process, and releases it; set by the run that records into it."""
        self.num_remade = 0
        """How often the folder was gone and made again."""
        self._lock: Any = None
        self._making = threading.Lock()
        self._deleted = False
        self._contents: dict[str, bytes] = {}

    @classmethod
    def of(cls, spool: Path, spec: RunSpec, rank: int) -> RunFolder:
        """Where a run of this project and name waits: the same folder every time."""
        identity = hashlib.sha256(f"{spec.project}\0{spec.run}".encode()).hexdigest()[:8]
        readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{spec.project}-{spec.run}").strip(".-")[:80]
        return cls(spool / f"{readable}-{identity}", rank)

    # ---- who records

    def acquire(self, *, take_over: bool = False, warn: Callable[[str], None] = LOG.warning) -> None:
        """Hold the folder: for this process, and for this object within it.

        Parameters
        ----------
        take_over : bool
            Where another run of this process holds it, that one gives way.
        warn : callable
            Gets a message where the file system has no locks: the folder is then used without one.

        Raises
        ------
        Conflict
            Another process holds it, or another run of this one.
        OSError
            The folder cannot be written to. It is held all the same, within this process.
        """
        if take_over:
            _give_way(self)
        _hold(self)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock(warn)
        except Conflict:
            self.release()
            raise

    def release(self) -> None:
        _let_go(self)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self, warn: Callable[[str], None]) -> None:
        # Locks of this kind are not handed on to forked children, such as the workers of a data loader. They belong
        # to the process: closing any handle of the file drops them, so it is opened once only.
        opened = (self.path / f"rank{self.rank}.lock").open("a")
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            if fault.errno in _HELD_BY_ANOTHER:
                opened.close()
                raise Conflict(
                    f"{self.path} is in use: another process records this run, or sends it. Choose another name "
                    "with init(run=…), or wait for its end."
                ) from None
            warn(
                f"The file system of {self.path} has no locks ({fault.strerror}): see to it that no other process "
                "records or sends this run meanwhile."
            )
        self._lock = opened

    # ---- what makes the run

    def write_spec(self, spec: RunSpec, dataset: bytes | None = None) -> None:
        if dataset is not None:
            self._write_content("dataset.arrow", dataset)
        self._write_content("run.json", json.dumps(asdict(spec), indent=2).encode())

    def write_probes(self, probes: Sequence[Mapping[str, Any]]) -> None:
        self._write_content("probes.json", json.dumps(list(probes)).encode())

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

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other process clears this folder meanwhile, where the file system has such locks."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                descriptor = os.open(self.path, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    def nothing_recorded(self) -> bool:
        """Has no process closed an epoch here?"""
        return not any(RunFolder(self.path, rank).next_epoch() for rank in self.ranks())

    def clear(self) -> None:
        """Take away what an attempt left that recorded nothing; locks stay."""
        for path in [self.path / "dataset.arrow", self.path / "probes.json", *self.path.glob("rank*.json")]:
            path.unlink(missing_ok=True)
        # Last: until then another process clears the folder, too.
        (self.path / "run.json").unlink(missing_ok=True)

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
        self._write(f"rank{self.rank}.json", json.dumps(asdict(state)).encode())

    # ---- epochs

    def epochs(self) -> list[int]:
        """Epochs of this process that wait, the first one first."""
        return sorted(epoch for rank, epoch, _ in self._files() if rank == self.rank)

    def write_epoch(self, parcel: Parcel) -> None:
        self._write(self._file(parcel.epoch).name, parcel.to_bytes())

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
        self._deleted = True
        for epoch in self.epochs():
            self.delete_epoch(epoch)
        if not self.path.is_dir():
            return
        for ending in ("json", "lock"):
            (self.path / f"rank{self.rank}.{ending}").unlink(missing_ok=True)
        self.release()
        self._tidy_up()

    def _tidy_up(self) -> None:
        """Take the folder away after the last process."""
        if not self.ranks():
            for name in ("dataset.arrow", "probes.json", "run.json"):
                (self.path / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another process has begun anew
                self.path.rmdir()

    # ---- files

    def _write_content(self, name: str, content: bytes) -> None:
        """What belongs to the run as a whole is remembered, should the folder have to be made again."""
        self._contents[name] = content
        self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        try:
            _write(self.path / name, content)
        except FileNotFoundError:
            with self._making:
                if self._deleted:
                    raise
                if not (self.path / "run.json").is_file():
                    self._make_again()
            _write(self.path / name, content)

    def _make_again(self) -> None:
        """Somebody removed the folder: make it, its lock, and what makes the run."""
        self.path.mkdir(parents=True, exist_ok=True)
        former, self._lock = self._lock, None
        if former is not None:
            former.close()
            try:
                self._take_lock(LOG.debug)
            except Conflict:
                raise OSError(errno.EBUSY, "another process records this run") from None
        for name, content in self._contents.items():
            _write(self.path / name, content)
        self.num_remade += 1

    def _file(self, epoch: int) -> Path:
        return self.path / f"rank{self.rank}-{epoch:06d}.epoch"

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        for path in self.path.glob("rank*.epoch"):
            if match := _EPOCH_FILE.fullmatch(path.name):
                yield int(match[1]), int(match[2]), path


_held: dict[tuple[str, int], RunFolder] = {}
"""Folders that this process holds: locks of the system do not tell one run of a process from another."""
_holding = threading.Lock()


def _hold_nothing() -> None:
    """In a forked child; another thread may have been at the registry when it was forked."""
    global _holding
    _holding = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_hold_nothing)


def _key(folder: RunFolder) -> tuple[str, int]:
    return os.path.realpath(folder.path), folder.rank


def _hold(folder: RunFolder) -> None:
    with _holding:
        if _held.setdefault(_key(folder), folder) is not folder:
            raise Conflict(
                f"{folder.path} is in use: this process records a run of this name, or still sends it. Call finish() "
                "on it first, go on with it by init(resume=True), or choose another name with init(run=…)."
            )


def _let_go(folder: RunFolder) -> None:
    with _holding:
        for key in [key for key, holder in _held.items() if holder is folder]:
            del _held[key]


def _give_way(folder: RunFolder) -> None:
    with _holding:
        holder = _held.get(_key(folder))
    if holder is not None and holder is not folder and holder.give_way is not None:
        holder.give_way()


def checked_name(field: str, name: str) -> str:
    """Of a run or dataset. Raises InvalidInput where the server would not take it."""
    if not 0 < len(name) <= 200 or any(sign in "/\\" or ord(sign) < 32 for sign in name) or not is_utf8(name):
        raise InvalidInput(f"{field} is {name!r}: 1 to 200 signs, no slash.", field=field)
    return name


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
