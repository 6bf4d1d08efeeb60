"""③ Closed epochs on their way out: in memory for a moment, then on the disk until the server has them.

The training's thread only appends to a list. A thread of the outbox writes to the disk; where the disk is full or
gone, the newest epochs are kept in memory, and what has no room any more is counted as lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sondage.recorder.parcel import Parcel
from sondage.recorder.spool import RankState, RunFolder

KEPT_EPOCHS = 4
KEPT_BYTES = 64 << 20
"""In memory, of small epochs more than of large ones: they may close faster than a disk takes them."""
RETRY_DISK_SECONDS = 5.0


class Outbox:
    """Takes closed epochs without waiting for anything, and hands them out in order.

    Parameters
    ----------
    folder : RunFolder
        Held by this process.
    trouble : callable
        Gets a message when the disk cannot be written to.
    """

    def __init__(self, folder: RunFolder, trouble: Callable[[str], None]) -> None:
        self.folder = folder
        self.state = folder.state()
        self.num_lost = 0
        self._trouble = trouble
        self._memory: list[Parcel] = []
        self._on_disk = folder.epochs()
        self._kept: list[int] = []
        self._gone: set[int] = set()
        """Epochs whose files were removed by somebody else, or could not be made. They are sent as lost."""
        self._num_remade = folder.num_remade
        self._changed = threading.Condition()
        """Guards all but the disk. Nobody writes while holding it: the training's thread needs it."""
        self._saving = threading.Lock()
        self._disk_fails = False
        self._closed = False
        self._thread = threading.Thread(target=self._write_all, name="sondage-spool", daemon=True)
        self._thread.start()

    # ---- the training's side

    def put(self, parcel: Parcel) -> None:
        """Take a closed epoch. Never waits for a disk or a network.

        One that waits already, from before a run was gone on with, stays as it was recorded first.
        """
        with self._changed:
            self.state.next_epoch = parcel.epoch + 1
            if parcel.epoch not in (*self._on_disk, *self._kept):
                self._memory.append(parcel)
                self._make_room()
            self._changed.notify_all()

    def finish(self, state: str) -> None:
        """The run has ended. On the disk first: once it is known, all may be sent and the folder taken away."""
        self._save_state(finish=state)
        with self._changed:
            self.state.finish = state
            self._changed.notify_all()

    @property
    def pending(self) -> int:
        """Epochs that the server does not have."""
        with self._changed:
            return len(self._on_disk) + len(self._memory)

    def wait_until_spooled(self, timeout_seconds: float) -> bool:
        """Wait until nothing is in memory alone."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._memory, timeout_seconds)

    def close(self) -> None:
        """End the thread; what is in memory and cannot be written is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=RETRY_DISK_SECONDS)

    # ---- the sender's side

    def next(self, timeout_seconds: float | None = None) -> Parcel | None:
        """The first epoch that waits; None when the time is up, or when the run has ended and none is left."""
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_seconds)
            if not self._on_disk:
                return self._memory[0] if self._disk_fails and self._memory else None
            epoch = self._on_disk[0]
        if epoch not in self._gone:
            try:
                return self.folder.read_epoch(epoch)
            except (FileNotFoundError, NotADirectoryError):
                self._count_as_gone(epoch)
        return Parcel.lost(epoch, self.folder.rank)

    def acknowledge(self, parcel: Parcel, *, closed: bool) -> None:
        """The server has it. Until all ranks have sent theirs (`closed`) the file stays, should the run be resumed."""
        epoch = parcel.epoch
        with self._changed:
            self.state.sent_epochs = max(self.state.sent_epochs, epoch + 1)
            # One that was given up while it was being sent is not lost after all.
            given_up = [one for one in self._memory if one.epoch == epoch and not one.channels]
            self.num_lost -= len(given_up) + (epoch in self._gone) if parcel.channels else 0
            self._gone.discard(epoch)
            self._memory = [one for one in self._memory if one.epoch != epoch]
            self._on_disk = [waiting for waiting in self._on_disk if waiting != epoch]
            self._kept.append(epoch)
            done, self._kept = (self._kept, []) if closed else ([], self._kept)
            self._changed.notify_all()
        self._save_state()
        try:
            for one in done:
                self.folder.delete_epoch(one)
        except OSError as fault:
            self._trouble(f"{self.folder.path} cannot be tidied up ({fault.strerror}).")

    def go_on_from(self, epoch: int) -> None:
        """The next epoch to be closed is this one; later ones that wait will be recorded once more."""
        with self._changed:
            for waiting in [one for one in self._on_disk if one >= epoch]:
                self.folder.delete_epoch(waiting)
                self._on_disk.remove(waiting)
            self.state = RankState(epoch, min(self.state.sent_epochs, epoch))
        self._save_state()

    def go_back_to(self, epoch: int) -> None:
        """The next epoch to be closed is this one; later ones that wait stay, and are not taken again by `put`."""
        with self._changed:
            self.state = RankState(epoch, min(self.state.sent_epochs, epoch))
        self._save_state()

    def _has_news(self) -> bool:
        ready = self._on_disk or (self._disk_fails and self._memory)
        return bool(self._closed or ready or (self.state.finish and not self._memory))

    # ---- the disk

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._memory or self._closed)
                if not self._memory:
                    return
                parcel = self._memory[0]
            if not self._written(parcel):
                with self._changed:
                    if self._closed:
                        return
                    self._changed.wait(RETRY_DISK_SECONDS)

    def _written(self, parcel: Parcel) -> bool:
        try:
            self.folder.write_epoch(parcel)
        except OSError as fault:
            with self._changed:
                self._disk_fails = True
                self._changed.notify_all()
            self._trouble(
                f"The spool folder {self.folder.path} cannot be written to ({fault.strerror}). The newest epochs "
                "are kept in memory; make room on the disk."
            )
            return False
        except Exception as fault:  # such as no memory for the file's content: later epochs may fare better
            self._give_up(parcel, fault)
            return True
        if self.folder.num_remade != self._num_remade:
            self._look_what_is_gone()
        with self._changed:
            self._disk_fails = False
            # It may have been sent, or given up for want of room, while it was being written.
            if parcel in self._memory:
                self._memory.remove(parcel)
                self._on_disk.append(parcel.epoch)
            self._changed.notify_all()
        return True

    def _give_up(self, parcel: Parcel, fault: Exception) -> None:
        """First its channels, then its file."""
        with self._changed:
            if parcel not in self._memory:
                return
            place = self._memory.index(parcel)
            if parcel.channels:
                self._memory[place] = parcel.emptied()
                self.num_lost += 1
            else:
                del self._memory[place]
                self._on_disk.append(parcel.epoch)
                self._gone.add(parcel.epoch)
            self._changed.notify_all()
        self._trouble(f"Epoch {parcel.epoch} is lost: {type(fault).__name__} while it was written ({fault}).")

    def _look_what_is_gone(self) -> None:
        """The folder was removed and made again: what waited in it is lost, and marked as such for whoever sends."""
        self._num_remade = self.folder.num_remade
        there = set(self.folder.epochs())
        with self._changed:
            missing = [epoch for epoch in self._on_disk if epoch not in there]
        for epoch in missing:
            self._count_as_gone(epoch)
            try:
                self.folder.write_epoch(Parcel.lost(epoch, self.folder.rank))
                if epoch not in self._on_disk:  # it was on its way, and has arrived
                    self.folder.delete_epoch(epoch)
            except OSError as fault:
                self._trouble(f"{self.folder.path} cannot be written to ({fault.strerror}).")

    def _count_as_gone(self, epoch: int) -> None:
        with self._changed:
            if epoch in self._gone or epoch not in self._on_disk:
                return
            self._gone.add(epoch)
            self.num_lost += 1
        self._trouble(f"Epoch {epoch} is lost: its file in {self.folder.path} was removed.")

    def _make_room(self) -> None:
        full = [place for place, parcel in enumerate(self._memory) if parcel.channels]
        num_kept = max(KEPT_EPOCHS, KEPT_BYTES // max(1, self._memory[-1].num_bytes))
        for place in full[:-num_kept]:
            self._memory[place] = self._memory[place].emptied()
            self.num_lost += 1
            self._trouble(
                f"Epoch {self._memory[place].epoch} is lost: the server is away and {self.folder.path} cannot be "
                "written to."
            )

    def _save_state(self, **changes: Any) -> None:
        """One after the other, so that the newest state is the last one written.

        An epoch in memory alone is not said to be closed: after a kill it would be left out for good.
        """
        try:
            with self._saving:
                with self._changed:
                    safe = min([self.state.next_epoch, *(parcel.epoch for parcel in self._memory)])
                    state = replace(self.state, next_epoch=safe, **changes)
                self.folder.write_state(state)
        except OSError as fault:
            self._trouble(f"{self.folder.path} cannot be written to ({fault.strerror}).")
        if self.folder.num_remade != self._num_remade:
            self._look_what_is_gone()
