"""③ What `init` puts a run together from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sondage.recorder.dataset import Examples
from sondage.recorder.outbox import Outbox
from sondage.recorder.sender import Sender
from sondage.recorder.spool import RunSpec
from sondage.recorder.trouble import Trouble

CROSS_ENTROPY = "cross-entropy"
FROM_LOGITS = "cross-entropy from logits"
"""What the protocol calls a recorded loss: as the user's loop gave it, or worked out by the recorder."""


@dataclass(frozen=True)
class Parts:
    """A run's own: who writes, who sends, and what makes the run on the server."""

    spec: RunSpec
    rank: int
    examples: Examples
    num_to_see: int | None
    """Rows that an epoch is to see: those of the train split. None: the server knows."""
    training_loss: str | None
    outbox: Outbox
    sender: Sender | None
    trouble: Trouble
    connect: Callable[[], Any]

    def with_spec(self, spec: RunSpec, probes: Sequence[Mapping[str, Any]] | None = None) -> Parts:
        """With another spec, and probes; folder and sender are told. The server has neither before an epoch closes."""
        folder = self.outbox.folder
        try:
            folder.write_spec(spec)
            if probes is not None:
                folder.write_probes(probes)
        except OSError as fault:
            self.trouble(f"The spool folder {folder.path} cannot be written to ({fault.strerror}).")
        if self.sender is not None:  # its thread looks at them when the first epoch is closed
            self.sender.courier.spec = spec
            if probes is not None:
                self.sender.courier.probes = probes
        return replace(self, spec=spec)


def made_ones(probes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that have rows of their own; known examples serve as they are."""
    return [probe for probe in probes if probe["row"] != probe["source_row"]]
