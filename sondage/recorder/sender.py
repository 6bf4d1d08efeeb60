"""③ The thread that sends: as long as the server is away it tries again, and the training never waits for it."""

from __future__ import annotations

import threading
import time

from sondage.errors import Conflict, InvalidInput, NotFound, SondageError
from sondage.recorder.courier import Courier, NameTaken, NotYet
from sondage.recorder.outbox import Outbox
from sondage.recorder.trouble import Trouble

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
RANKS_PAUSE_SECONDS = 0.25
REFUSALS = (InvalidInput, NotFound, Conflict)
"""Trying again would change nothing. A key that is refused may be put right, and a server may come back."""


class Sender:
    """Sends what the outbox holds until the run has ended and the server has it all."""

    def __init__(self, outbox: Outbox, courier: Courier, trouble: Trouble) -> None:
        self.refused: SondageError | None = None
        self.remedy = f"sondage sync {outbox.folder.path}"
        """By which command the user sends what is left."""
        self._outbox = outbox
        self.courier = courier
        self._trouble = trouble
        self._force_at = float("inf")
        self._hurry = threading.Event()
        self._ended = threading.Event()
        self._stopped = False
        self._taking_note = threading.Lock()
        """Held while the disk is told what has arrived: after `stop` that is another sender's to say."""
        self._thread = threading.Thread(target=self._send_all, name="sondage-send", daemon=True)
        self._thread.start()

    def finish(self, timeout_seconds: float) -> bool:
        """Wait until the server has all of a run that has ended. False when the time was up."""
        # Ranks that died are not waited for to the very end, so that there is time to close without them.
        self._force_at = time.monotonic() + timeout_seconds * 2 / 3
        self.hurry()
        return self._ended.wait(timeout_seconds) and self.refused is None and not self._stopped

    def stop(self, timeout_seconds: float) -> None:
        """Send nothing any more, because another run has taken this one's place. What is left stays in the folder."""
        with self._taking_note:
            if self._ended.is_set():
                return
            self._stopped = True
            self._ended.set()
        self.hurry()
        self._outbox.close()
        self._thread.join(timeout_seconds)

    def hurry(self) -> None:
        """Try again now."""
        self._hurry.set()

    def _send_all(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._ended.is_set():
            try:
                self._step()
                pause = FIRST_PAUSE_SECONDS
            except NotYet:
                time.sleep(RANKS_PAUSE_SECONDS)
            except REFUSALS as fault:
                self._refuse(fault)
            except Exception as fault:  # whatever it is, it must not end here: epochs would wait for ever
                self._trouble(f"{fault} Epochs wait in {self._outbox.folder.path} until the server has them.")
                self._hurry.wait(pause)
                self._hurry.clear()
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self.courier.client.close()

    def _step(self) -> None:
        parcel = self._outbox.next()
        if parcel is not None:
            closed = self.courier.send(parcel)
            with self._taking_note:
                if not self._stopped:
                    self._outbox.acknowledge(parcel, closed=closed)
        elif self._outbox.state.finish is not None:
            self.courier.end(self._outbox.state.finish, force=time.monotonic() > self._force_at)
            with self._taking_note:
                if not self._stopped:
                    self._outbox.folder.delete()
                    self._outbox.close()
                    self._ended.set()

    def _refuse(self, fault: SondageError) -> None:
        if self._stopped:
            return
        self.refused = fault
        if isinstance(fault, NameTaken):
            self.remedy = f"{self.remedy} --rename NAME"
        self._trouble(
            f"The server refused what was recorded: {fault} It stays in {self._outbox.folder.path}; once this training "
            f"has ended and that is put right: {self.remedy}."
        )
        self._ended.set()
