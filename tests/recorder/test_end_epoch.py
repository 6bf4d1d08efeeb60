"""`end_epoch` that raises: all or nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sondage.errors import InvalidInput
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer


@pytest.mark.parametrize("wrong", [{"note": object()}, {"epoch": 7}], ids=["metric", "epoch"])
def test_end_epoch_that_raises_changes_nothing_and_a_corrected_call_closes(
    init: Init, server: FakeServer, wrong: dict[str, object]
) -> None:
    run = init(channels=("loss",))
    run.log(rows=[0, 1], loss=np.array([1.0, 2.0]))
    with pytest.raises(InvalidInput):
        run.end_epoch(**wrong)
    run.end_epoch(note="mended")
    run.log(rows=[0], loss=np.array([5.0]))
    run.end_epoch()
    run.finish()
    np.testing.assert_array_equal(server.run.curves("loss")[:2], [[1, 5], [2, np.nan]])
    assert server.run.closed[0]["metrics"]["note"] == "mended"


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_batches_after_an_end_epoch_that_raised_are_not_averaged_with_the_former_ones(
    init: Init, server: FakeServer, caplog: pytest.LogCaptureFixture, kind
) -> None:
    run = init(channels=("loss", "count"))
    for losses, metric in (([1.0, 2.0], object()), ([3.0, 4.0], 0.5)):  # a cell that is run again, put right
        run.log(rows=kind([0, 1]), loss=kind(losses))
        try:
            run.end_epoch(accuracy=metric)
        except InvalidInput:
            continue
    run.finish()
    assert server.run.curves("loss")[:2].tolist() == [[3], [4]]
    assert server.run.curves("count")[:2].tolist() == [[1], [1]]
    assert [record.getMessage() for record in caplog.records if "is dropped" in record.getMessage()] != []
