"""Which epochs, and which of their figures, an integration hands to a run."""

from __future__ import annotations

from typing import Any

import pytest

from sondage.loops import Epochs


class Noted:
    """A run that notes the metrics of its epochs."""

    def __init__(self) -> None:
        self.metrics: list[dict[str, Any]] = []

    @property
    def next_epoch(self) -> int:
        return len(self.metrics)

    def note_training_loss(self, words: str) -> None: ...

    def log(self, **values: Any) -> None: ...

    def end_epoch(self, **metrics: Any) -> None:
        self.metrics.append(metrics)

    def finish(self, state: str = "finished", *, timeout_seconds: float = 30.0) -> None: ...


def test_figures_named_like_ours_are_left_out_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    run = Noted()
    epochs = Epochs(run)
    for epoch in range(2):
        epochs.begin(epoch)
        epochs.end(epoch=9.0, num_seen=1.0, seconds=2.0, train_loss=0.5, val=0.25)
    assert run.metrics == [{"train_loss": 0.5, "val": 0.25}] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "Not recorded, since the recording has figures of these names: num_seen, seconds."
    ]
