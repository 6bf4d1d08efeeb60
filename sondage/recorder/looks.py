"""③ Looks at the features of a training in the user's own loop: when, and what becomes of a fault.

A look is an extra. Nothing that is wrong with it raises, a third of the way into a training: there is one warning, the
epoch is recorded without, and tags rest on margins alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sondage.recorder.channels import OF_LOOKS, narrowed
from sondage.recorder.dataset import Examples
from sondage.recorder.features import Features
from sondage.recorder.spool import RunSpec
from sondage.recorder.trouble import Trouble
from sondage.tagging.left_out import look_epochs
from sondage.types import AnyArray

ANNOUNCE = "begin the run with init(channels=('loss', 'margin', 'predicted', 'label_odds', 'distance'))"
_NOT_RECORDED = "A look at the features is not recorded: {}."


class Looks:
    """What `Run.log_features` logs, until `Run.end_epoch` asks for the channel.

    Parameters
    ----------
    spec : RunSpec
    examples : Examples
    made : sequence of mappings
        Planted probes with rows of their own.
    """

    def __init__(self, spec: RunSpec, examples: Examples, made: Sequence[Mapping[str, Any]]) -> None:
        self._spec = spec
        self._examples = examples
        self._made = made
        self._warn = Trouble(spec.run)
        self._features: Features | None = None
        self._given_up = False

    def wanted(self, epoch: int) -> bool:
        """Is a look due? Who asks means to look: where none ever will be, it is said once."""
        obstacle, num_epochs = self._obstacle(), self._spec.num_epochs
        if obstacle is None and num_epochs is not None:
            return epoch in look_epochs(num_epochs)
        self._warn(
            _NOT_RECORDED.format(obstacle or "when is not known; begin the run with init(num_epochs=…)")
        )
        return False

    def take(self, rows: Callable[[], Any], features: Any, labels: Any) -> None:
        """One batch. `rows` gives the rows, or raises for ids that are not known."""
        if self._given_up:
            return
        try:
            obstacle = self._obstacle()
            if obstacle is not None:
                self.drop(obstacle)
                return
            if self._features is None:
                self._features = self._begun()
            self._features.take(_array(rows()), _floats(features), None if labels is None else _array(labels))
        except Exception as fault:
            self.drop(str(fault) or type(fault).__name__)

    def collect(self) -> dict[str, AnyArray]:
        """The channels that the run records, by name; nothing where nobody looked. The next epoch begins.

        Takes as long as fitting classes of one covariance does, once for each of the two, in the caller's thread:
        closed epochs must not wait for it elsewhere.
        """
        if self._features is None:
            self._given_up = False
            return {}
        try:
            found = self._features.channels(self._recorded)
            if not found:
                self.drop("fewer than two examples of the train split came with finite features")
            elif self._features.num_beyond:
                self._warn(f"A look has no room for {self._features.num_beyond:,} of the examples.")
        except Exception as fault:
            found = {}
            self.drop(str(fault) or type(fault).__name__)
        self._features, self._given_up = None, False
        return {name: narrowed(one, np.dtype(self._spec.channels[name])) for name, one in found.items()}

    def drop(self, why: str | None = None) -> None:
        """Forget the look under way; with a reason, the rest of it too, and it is said."""
        self._features, self._given_up = None, why is not None
        if why is not None:
            self._warn(_NOT_RECORDED.format(why.rstrip(".")))

    def _obstacle(self) -> str | None:
        if not self._recorded:
            return f"the run records neither the channel left_out nor distance; {ANNOUNCE}"
        if self._spec.world_size > 1:
            return "each of several processes sees a part of the examples, and they are not gathered"
        if self._spec.num_examples is None:
            return "the number of examples is not known; begin the run with init(num_examples=…)"
        return None

    @property
    def _recorded(self) -> list[str]:
        return [name for name in OF_LOOKS if name in self._spec.channels]

    def _begun(self) -> Features:
        num_examples = self._spec.num_examples or 0
        labels = self._examples.labels
        made = np.array([probe["label"] for probe in self._made], dtype=np.int64)
        known = np.full(num_examples, -1, dtype=np.int64) if labels is None else labels
        sources = [-1 if probe["source_row"] is None else probe["source_row"] for probe in self._made]
        return Features(
            np.concatenate([known, made]),
            num_examples,
            np.array(sources, dtype=np.int64),
            self._examples.is_train(num_examples),
        )


def _array(values: Any) -> AnyArray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _floats(values: Any) -> AnyArray:
    if hasattr(values, "detach"):
        return np.asarray(values.detach().float().cpu())
    found = np.asarray(values)
    return found.astype(np.float32) if found.dtype.kind == "f" else found
