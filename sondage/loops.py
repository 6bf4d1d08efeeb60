"""③ What integrations need of a run, and which epochs of a training they hand to it.

Lightning, the Hugging Face Trainer and scikit-learn meet a run through `Recording`: `sondage.init` returns one.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from sondage.recorder.figures import OUR_METRICS

LOG = logging.getLogger("sondage")
BREAK_OFF_SECONDS = 5.0
"""How long a training that broke off waits for the server; what is left stays in the spool."""
_ABORTS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Recording(Protocol):
    """A run as integrations see it."""

    @property
    def next_epoch(self) -> int:
        """The first epoch that is not closed."""

    def note_training_loss(self, words: str) -> None:
        """What trains, where the recorded loss is worked out from logits."""

    def log(self, **values: Any) -> None: ...

    def end_epoch(self, **metrics: Any) -> None: ...

    def finish(self, state: str = "finished", *, timeout_seconds: float = 30.0) -> None: ...


class Epochs:
    """The epochs of a trainer that counts them itself.

    A training that was resumed may go once more through epochs that the run has closed: these are not recorded again.
    What is wrong with the run never ends the training, and never hides the error that did.
    """

    def __init__(self, run: Recording) -> None:
        self.run = run
        self.recording = False
        self._first = True
        self._said = False

    def begin(self, epoch: int) -> None:
        """The trainer begins this epoch, counted from 0."""
        next_epoch = self.run.next_epoch
        self.recording = epoch >= next_epoch
        if self._first and epoch != next_epoch:
            LOG.warning("%s", _out_of_step(epoch, next_epoch))
        self._first = False

    def log(self, **values: Any) -> None:
        if self.recording:
            self.run.log(**values)

    def end(self, **metrics: Any) -> None:
        """The trainer has ended the epoch. Figures that are named like ours are left out, with one warning."""
        metrics.pop("epoch", None)  # a figure that some log, which is no number of an epoch of the run
        if self.recording:
            self.recording = False
            ours = sorted(OUR_METRICS & metrics.keys())
            if ours and not self._said:
                self._said = True
                LOG.warning(
                    "Not recorded, since the recording has figures of these names: %s.", ", ".join(ours)
                )
            self.run.end_epoch(**{name: value for name, value in metrics.items() if name not in ours})

    def break_off(self, fault: BaseException) -> None:
        """The training ends by this error, which the caller raises again."""
        self.recording = False
        try:
            state = "aborted" if isinstance(fault, _ABORTS) else "failed"
            self.run.finish(state, timeout_seconds=BREAK_OFF_SECONDS)
        except Exception:
            LOG.warning("The run could not be ended after %s.", type(fault).__name__, exc_info=True)


def _out_of_step(epoch: int, next_epoch: int) -> str:
    if epoch < next_epoch:
        return (
            f"The run has its epochs before {next_epoch} already; the training begins at {epoch}. What it trains again "
            "is not recorded again."
        )
    return (
        f"The training goes on at epoch {epoch}, and the run has {next_epoch} epochs: the ones between are missing, "
        f"and this one is recorded as {next_epoch}."
    )
