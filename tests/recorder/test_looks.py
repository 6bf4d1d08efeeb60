"""Looks at the features of a training in the user's own loop: what is recorded, and that nothing else changes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import sondage
from sondage.cli import main
from sondage.recorder import features as features_module
from sondage.tagging import left_out as left_out_module
from sondage.tagging.class_distance import class_distances
from sondage.tagging.left_out import left_out_odds
from sondage.torch import look
from tests.recorder.conftest import Begin, Init
from tests.recorder.fake_server import FakeServer
from tests.recorder.sixty_examples import CHANNELS, FEATURES, GIVEN, N, close, looked_at, warnings_in


def test_odds_are_those_of_the_features_in_whatever_order_they_come(begin: Begin, server: FakeServer) -> None:
    run = begin(num_epochs=6)
    due = []
    for epoch in range(6):
        due.append(run.wants_features)
        if run.wants_features:
            for rows in np.array_split(np.random.default_rng(epoch).permutation(N), 4):
                run.log_features(rows=rows, features=FEATURES[rows])
        close(run)
    run.finish()
    assert due == [True, True, False, False, False, True]
    expected = left_out_odds(FEATURES, GIVEN, np.ones(N, bool))
    assert looked_at(server).keys() == {0, 1, 5}
    for found in looked_at(server).values():
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert set(np.argsort(expected)[:2]) == {7, 30}
    assert [one["counts"].keys() for one in server.run.closed.values()] == [
        {"loss", "margin", "predicted"}
    ] * 6


@pytest.mark.parametrize("more", [("label_odds", "distance"), ("distance",), ("label_odds",)], ids="+".join)
def test_a_look_tells_the_channels_that_were_announced(
    more: tuple[str, ...], begin: Begin, server: FakeServer
) -> None:
    run = begin(channels=("loss", *more), num_epochs=2)
    for _ in range(2):
        assert run.wants_features
        for rows in np.array_split(np.random.default_rng(0).permutation(N), 4):
            if run.next_epoch:
                run.log_features(rows=rows, features=FEATURES[rows])
        close(run)
    run.finish()
    assert [one["counts"].keys() for one in server.run.closed.values()] == [{"loss"}] * 2
    for name in ("label_odds", "distance"):
        assert looked_at(server, name).keys() == ({1} if name in more else set())
    for found in looked_at(server, "distance").values():
        np.testing.assert_allclose(found, class_distances(FEATURES, GIVEN, np.ones(N, bool)), rtol=1e-5)


def test_distances_alone_need_no_odds_and_go_into_half_precision(
    begin: Begin, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "LabelOdds", _interrupt)
    run = begin(channels={"loss": "", "distance": "float16"})
    run.log_features(rows=np.arange(N), features=FEATURES)
    close(run)
    run.finish()
    found = looked_at(server, "distance")[0]
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, class_distances(FEATURES, GIVEN, np.ones(N, bool)), rtol=1e-3)


def test_a_probe_leaves_its_source_out_and_other_splits_are_not_fitted(
    begin: Begin, server: FakeServer
) -> None:
    run = begin(splits=["train"] * 50 + ["test"] * 10, channels=(*CHANNELS, "distance"))
    usual = {"category": "noisy", "role": "fit", "generator": "flip"}
    run.plant(
        [
            {"row": N, "source_row": 4, "label": 0, **usual},
            {"row": N + 1, "source_row": None, "label": 2, **usual},
        ]
    )
    values = np.concatenate([FEATURES, FEATURES[4:5] + 0.1, FEATURES[5:6]])
    run.log_features(rows=np.arange(N + 2), features=torch.from_numpy(values).bfloat16())
    close(run)
    run.finish()
    sources = np.full(N + 2, -1)
    sources[N] = 4
    rounded = torch.from_numpy(values).bfloat16().float().numpy()
    expected = left_out_odds(rounded, np.append(GIVEN, [0, 2]), np.arange(N + 2) < 50, source=sources)
    # What is not fitted is kept in half precision.
    np.testing.assert_allclose(looked_at(server)[0], expected, atol=1e-3)
    without = left_out_odds(rounded, np.append(GIVEN, [0, 2]), np.arange(N + 2) < 50)
    assert abs(without[N] - expected[N]) > 0.05, "its source would have told"
    far = class_distances(rounded, np.append(GIVEN, [0, 2]), np.arange(N + 2) < 50, source=sources)
    found = looked_at(server, "distance")[0]
    np.testing.assert_allclose(found, far, rtol=1e-3)
    near = class_distances(rounded, np.append(GIVEN, [0, 2]), np.arange(N + 2) < 50)
    assert found[N] > 1.01 * near[N], "it is no nearer than an example"
    assert np.isfinite(found[50:60]).all(), "other splits are looked at out of sample"


def test_memory_is_bounded_and_what_is_kept_in_half_precision_says_the_same(
    begin: Begin, server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(left_out_module, "MOST_FITTED", 40)
    monkeypatch.setattr(left_out_module, "WIDEST", 4)
    monkeypatch.setattr(features_module, "WIDEST", 4)
    monkeypatch.setattr(features_module, "MOST_OTHERS", 15)
    run = begin()
    large = FEATURES * 1e6  # beyond what float16 holds
    for rows in (np.arange(20), np.arange(N), np.arange(N)[::-1]):
        run.log_features(rows=rows, features=large[rows])
    kept = run._looks._features._kept
    assert (kept.fitted.shape, kept._others.shape) == ((40, 4), (15, 4))
    assert (kept.fitted.dtype, kept._others.dtype) == (np.float32, np.float16)
    close(run)
    assert run._looks._features is None, "nothing of it stays"
    run.finish()
    projected = large @ left_out_module.directions(5, 0)
    expected = left_out_odds(projected, GIVEN, np.ones(N, bool))
    found = looked_at(server)[0]
    assert np.isnan(found).sum() == 5
    np.testing.assert_allclose(found[np.isfinite(found)], expected[np.isfinite(found)], atol=5e-3)
    assert ["no room for 5" in text for text in warnings_in(caplog)] == [True]


def test_labels_that_the_run_does_not_know_come_with_the_batch(init: Init, server: FakeServer) -> None:
    server.add_dataset("known", N, ["a", "b", "c"])
    run = init(dataset="known", labels=None, class_names=None, channels=CHANNELS, num_epochs=1)
    run.log_features(rows=np.arange(N), features=FEATURES, labels=GIVEN)
    close(run)
    run.finish()
    expected = left_out_odds(FEATURES, GIVEN, np.ones(N, bool))
    np.testing.assert_allclose(looked_at(server)[0], expected, atol=1e-5)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rows": np.arange(N) + 1, "features": FEATURES}, "rows 1…60 of a run that has 0…59"),
    ({"rows": np.arange(N), "features": FEATURES[:, 0]}, "one vector each"),
    ({"rows": np.arange(N - 1), "features": FEATURES}, "for 60 rows of features"),
    ({"rows": np.arange(N), "features": FEATURES.astype(int)}, "one vector each"),
    ({"rows": np.arange(N), "features": FEATURES * np.nan}, "finite"),
    ({"keys": ["a"] * N, "features": FEATURES}, "ids"),
    ({"features": FEATURES}, "rows= or keys="),
]


def test_what_is_wrong_is_warned_of_once_and_the_epoch_is_recorded_without(
    begin: Begin, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin()
    caplog.set_level(logging.DEBUG, "sondage")
    for batch, _ in WRONG:
        run.log_features(**batch)
        run.log_features(**batch)
        close(run)
    run.log_features(rows=np.arange(N), features=FEATURES)
    close(run)
    run.finish()
    assert looked_at(server).keys() == {len(WRONG)}, "one that is right is recorded after those that were not"
    assert len(server.run.closed) == len(WRONG) + 1
    said = [text for text in map(logging.LogRecord.getMessage, caplog.records) if "not recorded" in text]
    assert [reason in text for text, (_, reason) in zip(said, WRONG, strict=True)] == [True] * len(WRONG)
    assert warnings_in(caplog) == said[:1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"channels": CHANNELS[:3]}, "'label_odds', 'distance'))"),
        ({"num_epochs": None}, "init(num_epochs="),
        ({"rank": 0, "world_size": 2}, "not gathered"),
    ],
    ids=["not announced", "number of epochs", "several processes"],
)
def test_why_no_look_is_ever_due_is_said_once(
    changes: dict[str, Any], reason: str, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin(**changes)
    for _ in range(3):
        look(run, nn.Linear(5, 3), [])
        close(run)
    assert [reason in text for text in warnings_in(caplog)] == [True]


def test_an_epoch_that_is_dropped_drops_its_look(begin: Begin, server: FakeServer) -> None:
    run = begin()
    run.log_features(rows=np.arange(N), features=FEATURES)
    run.drop_epoch()
    close(run)
    run.log_features(rows=np.arange(N), features=FEATURES)
    run.end_epoch(epoch=0)  # closed already
    close(run)
    run.finish()
    assert looked_at(server) == {}


def test_a_look_that_is_taken_again_after_end_epoch_raised_keeps_the_epoch(
    begin: Begin, server: FakeServer
) -> None:
    run = begin()
    run.log(rows=np.arange(N), logits=np.zeros((N, 3), np.float32))
    for accuracy in ([1], 0.5):  # as a notebook's cell is run again, corrected
        run.log_features(rows=np.arange(N), features=FEATURES)
        if accuracy == 0.5:
            run.end_epoch(accuracy=accuracy)
            continue
        with pytest.raises(sondage.InvalidInput):
            run.end_epoch(accuracy=accuracy)
    run.finish()
    assert server.run.closed[0]["coverage"] == 1
    assert looked_at(server).keys() == {0}


def test_an_interrupt_while_odds_are_worked_out_leaves_the_epoch_as_it_was(
    begin: Begin, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    run.log(rows=np.arange(N), logits=np.zeros((N, 3), np.float32))
    run.log_features(rows=np.arange(N), features=FEATURES)
    with monkeypatch.context() as patched:
        patched.setattr(features_module.LabelOdds, "log_odds", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            run.end_epoch()
    run.end_epoch()
    run.finish()
    assert (server.run.closed[0]["coverage"], looked_at(server).keys()) == (1, {0})


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_no_room_for_the_classes_costs_the_look_alone(
    begin: Begin, server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(features_module.LabelOdds, "log_odds", fails)
    run = begin()
    run.log_features(rows=np.arange(N), features=FEATURES)
    close(run)
    run.finish()
    assert (server.run.closed[0]["coverage"], looked_at(server)) == (1, {})
    assert ["MemoryError" in text for text in warnings_in(caplog)] == [True]


def test_the_channel_is_not_logged_by_hand_nor_recorded_alone(begin: Begin) -> None:
    for channels in (("label_odds",), ("distance",), ("label_odds", "distance")):
        with pytest.raises(sondage.InvalidInput, match="name another channel"):
            begin(channels=channels)
    with pytest.raises(sondage.InvalidInput, match="distance cannot be int32"):
        begin(channels={"loss": "", "distance": "int32"})
    run = begin(run="other", channels=(*CHANNELS, "distance"))
    for name in ("label_odds", "distance"):
        with pytest.raises(sondage.InvalidInput, match=f"{name} is worked out of features: .*log_features"):
            run.log(rows=[0], logits=np.zeros((1, 3)), labels=[0], **{name: np.zeros(1)})


def test_a_look_waits_in_the_spool_and_goes_up_by_sync(
    begin: Begin, server: FakeServer, tmp_path: Path
) -> None:
    run = begin(mode="offline", num_epochs=2)
    for _ in range(2):
        run.log_features(rows=np.arange(N), features=FEATURES) if run.next_epoch else None
        close(run)
    run.finish()
    assert main(["sync", str(tmp_path / "spool"), "--json"]) == 0
    assert looked_at(server).keys() == {1}
