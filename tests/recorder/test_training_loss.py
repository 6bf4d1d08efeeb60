"""What integrations say of the loss that trains stands in the protocol, on the server too."""

from __future__ import annotations

import numpy as np
import pytest

from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer


@pytest.mark.parametrize(
    ("told", "loss", "training_loss"),
    [
        ({}, "cross-entropy from logits", "smoothed"),
        ({"training_loss": "focal"}, "cross-entropy from logits", "focal"),
        ({"protocol": {"loss": "hinge"}}, "hinge", "smoothed"),
        ({"protocol": {"training_loss": "mixup"}}, "cross-entropy", "mixup"),
    ],
)
def test_what_is_noted_arrives_and_what_init_was_told_stays(
    init: Init, server: FakeServer, told: dict[str, object], loss: str, training_loss: str
) -> None:
    run = init(**told)
    for words in ("smoothed", "another"):  # once an epoch is closed, nothing changes
        run.note_training_loss(words)
        run.log(rows=[0], logits=np.eye(3)[:1])
        run.end_epoch()
    run.finish()
    run.note_training_loss("too late")
    protocol = server.run.body["protocol"]
    assert (protocol["loss"], protocol["training_loss"]) == (loss, training_loss)
