"""Where an epoch ends and begins: `end_epoch` that raises, loops that are run again, epochs without a batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sondage
from sondage import Run
from sondage.errors import InvalidInput
from sondage.recorder.doubts import looks_begun_again
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


def pass_over(run: Run, value: float, kind: Any, stop: int | None = None, size: int = 200) -> None:
    """One epoch's loop over all rows, which an interrupt may end; all losses are alike."""
    for start in range(0, size, 20):
        if start == stop:
            raise KeyboardInterrupt
        run.log(rows=kind(range(start, start + 20)), loss=kind([value] * 20))
    run.end_epoch()


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Run]:
    with sondage.init(
        dataset="n", run="nb", num_examples=200, channels=("loss",), mode="offline", spool=tmp_path / "spool"
    ) as run:
        yield run


def losses_of(run: Run, epoch: int) -> list[float]:
    outbox = run._parts.outbox
    outbox.wait_until_spooled(10)
    return sorted(set(outbox.folder.read_epoch(epoch).channels["loss"].tolist()))


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_a_loop_that_is_run_again_after_drop_epoch_is_recorded_alone(
    offline: Run, caplog: pytest.LogCaptureFixture, kind: Any
) -> None:
    offline.drop_epoch()  # nothing logged yet
    pass_over(offline, 1.0, kind)
    with pytest.raises(KeyboardInterrupt):
        pass_over(offline, 10.0, kind, stop=100)
    offline.drop_epoch()
    pass_over(offline, 2.0, kind)
    assert (losses_of(offline, 0), losses_of(offline, 1)) == ([1.0], [2.0])
    assert caplog.records == []
    offline.finish()
    with pytest.raises(InvalidInput, match="has finished"):
        offline.drop_epoch()


def test_drop_epoch_after_an_end_epoch_that_raised(offline: Run, caplog: pytest.LogCaptureFixture) -> None:
    offline.log(rows=[0], loss=[1.0])
    with pytest.raises(InvalidInput):
        offline.end_epoch(epoch=7)
    offline.drop_epoch()
    pass_over(offline, 2.0, np.array)
    assert losses_of(offline, 0) == [2.0]
    assert caplog.records == []


def test_a_loop_that_is_run_again_without_it_is_warned_of_once(
    offline: Run, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pass_over(offline, 10.0, np.array, stop=60)
        pass_over(offline, 1.0, np.array)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "in epoch 0, 60 examples" in said
    assert "run.drop_epoch()" in said


def test_an_epoch_without_a_batch_is_closed_with_one_warning(
    offline: Run, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        offline.end_epoch()
    (said,) = [record.getMessage() for record in caplog.records]
    assert "epoch 0 was closed and no batch" in said
    assert offline.next_epoch == 2


DRAWS = np.random.default_rng(0)
PASS = np.ones(400, int)


@pytest.mark.parametrize(
    ("count", "num_to_see", "again"),
    [
        (PASS + (np.arange(400) < 100), None, True),
        (PASS + DRAWS.permutation(np.arange(400) < 100), 400, True),
        (
            np.concatenate([PASS + (np.arange(400) < 100), np.zeros(300, int)]),
            400,
            True,
        ),  # a test split beside
        (PASS * 3, None, True),
        (np.concatenate([2 * PASS, np.zeros(2000, int)]), None, True),
        (PASS + (np.arange(400) < 8), None, False),  # a loader or sampler that fills its last batch
        (PASS, None, False),
        (np.array([2, 1, 1, 1, 2]), None, False),
        (np.zeros(0, int), None, False),
        *(
            (np.bincount(DRAWS.integers(400, size=d), minlength=400), None, False)
            for d in (200, 400, 800, 1600)
        ),
        (np.bincount(np.minimum(DRAWS.geometric(0.01, size=800), 400) - 1, minlength=400), None, False),
    ],
)
def test_what_looks_like_a_loop_that_was_run_again(count: Any, num_to_see: int | None, again: bool) -> None:
    assert looks_begun_again(count.astype(np.int32), num_to_see) is again


def test_draws_with_replacement_are_hardly_ever_taken_for_it() -> None:
    rng = np.random.default_rng(1)
    taken = 0
    for n in (60, 100, 300):
        for factor in (0.5, 1, 2):
            for _ in range(50):
                count = np.bincount(rng.integers(n, size=int(factor * n)), minlength=n)
                taken += looks_begun_again(count, n)
    assert taken == 0
