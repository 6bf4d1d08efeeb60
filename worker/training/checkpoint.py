"""② Checkpoints that survive a killed process and a lost power supply."""

from __future__ import annotations

import hashlib
import io
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sondage.errors import Conflict

_MAGIC = b"SONDAGE-CHECKPOINT-1\n"
_NAME = re.compile(r"epoch-(\d{6})\.ckpt")
_OURS = re.compile(r"epoch-\d{6}\.(ckpt|partial)")
State = dict[str, Any]


class CheckpointStore:
    """The last two checkpoints of one training, in a folder of its own.

    Two, since a process may die after an epoch's checkpoint and before its curves are committed: the training
    then goes on from the checkpoint before.

    Parameters
    ----------
    folder : Path
        Made when first needed.
    keep : int
        How many of the newest checkpoints stay.
    """

    def __init__(self, folder: str | Path, *, keep: int = 2) -> None:
        self.folder = Path(folder)
        self._keep = keep

    def save(self, epoch: int, state: State) -> None:
        """Make the state after `epoch` durable, then drop old ones. Returns when it is on the disk.

        The file is written under another name, synced, renamed, and its folder synced: under its own name it
        is never half there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        payload = io.BytesIO()
        torch.save(state, payload)
        path = self._path(epoch)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(_MAGIC + hashlib.sha256(payload.getbuffer()).digest())
            file.write(payload.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(self.folder)
        self._drop_old(epoch)

    def load(self, epoch: int, device: torch.device | str = "cpu") -> State | None:
        """The state after `epoch`, or None where there is no whole checkpoint of it."""
        try:
            content = self._path(epoch).read_bytes()
        except FileNotFoundError:
            return None
        payload = content[len(_MAGIC) + 32 :]
        if content[: len(_MAGIC) + 32] != _MAGIC + hashlib.sha256(payload).digest():
            return None
        state: State = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
        return state

    def load_latest(
        self, before_epoch: int, training: str, device: torch.device | str = "cpu"
    ) -> tuple[int, State | None]:
        """The newest whole checkpoint of an epoch below `before_epoch`, and the epoch to go on with.

        Parameters
        ----------
        before_epoch : int
            Usually the number of committed epochs.
        training : str
            Fingerprint of the training that asks.

        Returns
        -------
        next_epoch : int
            `before_epoch` where its predecessor's checkpoint is whole; less where that one is missing or
            damaged and an older one serves; 0 with no state where none serves: then training starts afresh.

        Raises
        ------
        Conflict
            The folder holds another training's checkpoints.
        """
        for epoch in sorted(self.epochs(), reverse=True):
            if epoch >= before_epoch:
                continue
            state = self.load(epoch, device)
            if state is None:
                continue
            if state.get("training") != training:
                raise Conflict(
                    f"The checkpoints in {self.folder} belong to another training (another recipe, seed or data): "
                    "give each run a folder of its own, or empty this one."
                )
            return epoch + 1, state
        return 0, None

    def epochs(self) -> list[int]:
        """Epochs of which there is a file, whole or not."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def clear(self) -> None:
        """Drop all checkpoints, half written ones too, and their folder: the training has finished."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # something of the user's is in it
            self.folder.rmdir()

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:06d}.ckpt"

    def _drop_old(self, newest: int) -> None:
        """Keep the newest ones, counted back from the one just written.

        Later ones are of a future that is being trained again: they go too.
        """
        for epoch in self.epochs():
            if not newest - self._keep < epoch <= newest:
                self._path(epoch).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
