"""Looks at the features of a training in the user's own loop: what is recorded, and that nothing else changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import sondage
from sondage.client import Client
from sondage.recorder import features as features_module
from sondage.tagging import left_out as left_out_module
from sondage.tagging.left_out import left_out_margins
from sondage.torch import Indexed, look, plant
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer

CHANNELS = ("loss", "margin", "predicted", "left_out")
N = 60
LABELS = np.arange(N) % 3
FEATURES = (np.random.default_rng(0).normal(size=(N, 5)) + 3 * np.eye(3, 5)[LABELS]).astype(np.float32)
GIVEN = LABELS.copy()
GIVEN[[7, 30]] = (GIVEN[[7, 30]] + 1) % 3
Begin = Callable[..., sondage.Run]


@pytest.fixture
def begin(init: Init) -> Begin:
    """A run of `N` examples that records looks."""
    usual: dict[str, Any] = {"labels": GIVEN, "channels": CHANNELS, "num_epochs": 3}
    return lambda **changes: init(**{**usual, **changes})


def close(run: sondage.Run) -> None:
    run.log(rows=np.arange(N), logits=np.zeros((N, 3), np.float32), labels=GIVEN)
    run.end_epoch()


def looked_at(server: FakeServer) -> dict[int, np.ndarray]:
    return {key[0]: values for key, values in server.run.parts.items() if key[2] == "left_out"}


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_margins_are_those_of_the_features_in_whatever_order_they_come(
    begin: Begin, server: FakeServer
) -> None:
    run = begin(num_epochs=6)
    due = []
    for epoch in range(6):
        due.append(run.wants_features)
        if run.wants_features:
            for rows in np.array_split(np.random.default_rng(epoch).permutation(N), 4):
                run.log_features(rows=rows, features=FEATURES[rows])
        close(run)
    run.finish()
    assert due == [False, True, False, True, False, True]
    expected = left_out_margins(FEATURES, GIVEN, np.ones(N, bool))
    assert looked_at(server).keys() == {1, 3, 5}
    for found in looked_at(server).values():
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert set(np.argsort(expected)[:2]) == {7, 30}
    assert [one["counts"].keys() for one in server.run.closed.values()] == [
        {"loss", "margin", "predicted"}
    ] * 6


def test_a_probe_leaves_its_source_out_and_other_splits_are_not_fitted(
    begin: Begin, server: FakeServer
) -> None:
    run = begin(splits=["train"] * 50 + ["test"] * 10)
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
    expected = left_out_margins(rounded, np.append(GIVEN, [0, 2]), np.arange(N + 2) < 50, source=sources)
    # What is not fitted is kept in half precision.
    np.testing.assert_allclose(looked_at(server)[0], expected, atol=1e-3)
    without = left_out_margins(rounded, np.append(GIVEN, [0, 2]), np.arange(N + 2) < 50)
    assert abs(without[N] - expected[N]) > 5e-3, "its source would have told"


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
    expected = left_out_margins(projected, GIVEN, np.ones(N, bool))
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
    expected = left_out_margins(FEATURES, GIVEN, np.ones(N, bool))
    np.testing.assert_allclose(looked_at(server)[0], expected, atol=1e-5)


WRONG: dict[str, dict[str, Any]] = {
    "rows beyond": {"rows": np.arange(N) + 1, "features": FEATURES},
    "no vectors": {"rows": np.arange(N), "features": FEATURES[:, 0]},
    "other rows": {"rows": np.arange(N - 1), "features": FEATURES},
    "whole numbers": {"rows": np.arange(N), "features": FEATURES.astype(int)},
    "nothing finite": {"rows": np.arange(N), "features": FEATURES * np.nan},
    "no ids": {"keys": ["a"] * N, "features": FEATURES},
    "neither": {"features": FEATURES},
}


@pytest.mark.parametrize("batch", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_warned_of_once_and_the_epoch_is_recorded_without(
    batch: dict[str, Any], begin: Begin, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin()
    for _ in range(2):
        run.log_features(**batch)
        run.log_features(**batch)
        close(run)
    run.log_features(rows=np.arange(N), features=FEATURES)
    close(run)
    run.finish()
    assert looked_at(server).keys() == {2}, "one that is right is recorded after those that were not"
    assert len(server.run.closed) == 3
    assert ["not recorded" in text for text in warnings_in(caplog)] == [True]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"channels": CHANNELS[:3]}, "init(channels="),
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


def test_a_look_waits_in_the_spool_and_goes_up_by_sync(
    begin: Begin, server: FakeServer, tmp_path: Path
) -> None:
    from sondage.cli import main

    run = begin(mode="offline", num_epochs=2)
    for _ in range(2):
        run.log_features(rows=np.arange(N), features=FEATURES) if run.next_epoch else None
        close(run)
    run.finish()
    assert main(["sync", str(tmp_path / "spool"), "--json"]) == 0
    assert looked_at(server).keys() == {1}


# ---- sondage.torch.look


class Net(nn.Module):
    """With dropout and running statistics, and one part that its owner holds in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.BatchNorm1d(5)
        self.body = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(8, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.frozen(values)))


def trained(run: sondage.Run | None, *, generator: torch.Generator | None = None) -> tuple[Net, np.ndarray]:
    """Three epochs with looks at the end of each that is due, or without; the model, and losses by step."""
    torch.manual_seed(1)
    model = Net()
    model.frozen.eval()
    examples = Indexed(TensorDataset(torch.from_numpy(FEATURES), torch.from_numpy(GIVEN)))
    loader = DataLoader(examples, batch_size=16, shuffle=True, generator=generator)
    optimiser, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
    for _ in range(3):
        for inputs, given, rows in loader:
            logits = model(inputs)
            loss = functional.cross_entropy(logits, given, reduction="none")
            if run is not None:
                run.log(rows=rows, loss=loss, logits=logits, labels=given)
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
            losses.append(loss.mean().item())
        if run is not None:
            look(run, model, loader)
            run.end_epoch()
    assert (model.training, model.frozen.training, model.body.training) == (True, False, True)
    return model, np.array(losses)


@pytest.mark.parametrize("own_generator", [False, True], ids=["the global generator", "the loader's own"])
def test_the_training_is_the_same_with_looks_and_without(
    own_generator: bool, begin: Begin, server: FakeServer
) -> None:
    def generator() -> torch.Generator | None:
        return torch.Generator().manual_seed(5) if own_generator else None

    run = begin()
    logged = np.full((N, 8), np.nan, np.float32)
    log_features = run.log_features

    def noted(**batch: Any) -> None:
        logged[batch["rows"]] = batch["features"]
        log_features(**batch)

    run.log_features = noted  # type: ignore[method-assign]
    model, losses = trained(run, generator=generator())
    plain, without = trained(None, generator=generator())
    run.finish()
    np.testing.assert_array_equal(losses, without)
    for name, value in model.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name
    assert looked_at(server).keys() == {0, 1, 2}
    model.eval()
    with torch.no_grad():
        hidden = model.body(model.frozen(torch.from_numpy(FEATURES)))
    np.testing.assert_allclose(logged, hidden, atol=1e-5)
    expected = left_out_margins(logged, GIVEN, np.ones(N, bool))
    np.testing.assert_allclose(looked_at(server)[2], expected, atol=1e-5)
    assert not model.head._forward_pre_hooks


def test_mappings_a_forward_of_ones_own_and_a_compiled_model(begin: Begin, server: FakeServer) -> None:
    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, 3)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.head(values)

    examples = [{"values": one, "label": int(label)} for one, label in zip(FEATURES, GIVEN, strict=True)]
    loader = DataLoader(Indexed(examples), batch_size=32)
    model = Mapped()
    compiled: Any = torch.compile(model, backend="eager")
    compiled(torch.from_numpy(FEATURES))
    run = begin()
    look(run, model, loader)
    close(run)
    look(run, model, loader, layer=model.head, forward=lambda batch: model(batch["values"]))
    close(run)
    look(run, compiled, loader)
    close(run)
    run.finish()
    expected = left_out_margins(FEATURES, GIVEN, np.ones(N, bool))
    for epoch in range(3):
        np.testing.assert_allclose(looked_at(server)[epoch], expected, atol=1e-5)


class Fails(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)
        self.num_calls = 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.num_calls += 1
        if self.num_calls > 1:
            raise RuntimeError("out of memory")
        return self.head(values)


def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    for rows in torch.arange(N).split(20):
        yield torch.from_numpy(FEATURES)[rows], torch.from_numpy(GIVEN)[rows], rows


class Twice(Fails):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.head(values)
        return self.head(values)


FAULTS: dict[str, tuple[nn.Module, Any, str]] = {
    "the model fails": (Fails(), list(batches()), "out of memory"),
    "another width": (nn.Sequential(nn.Linear(5, 7)), list(batches()), "layer="),
    "no linear layer": (nn.Flatten(), list(batches()), "layer="),
    "used twice": (Twice(), list(batches()), "once in a forward pass"),
    "no batch": (nn.Linear(5, 3), [], "no batch"),
    "no rows": (nn.Linear(5, 3), [torch.zeros(4, 5)], "rows"),
    "no loader": (nn.Linear(5, 3), None, "NoneType"),
}


@pytest.mark.parametrize(("model", "loader", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_a_look_is_said_once_and_changes_nothing(
    model: nn.Module,
    loader: Any,
    said: str,
    begin: Begin,
    server: FakeServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = begin()
    for _ in range(3):
        look(run, model, loader)
        close(run)
    run.finish()
    assert model.training
    assert not any(layer._forward_pre_hooks for layer in model.modules())
    assert looked_at(server) == {}
    assert [said in text for text in warnings_in(caplog)] == [True]


def test_an_interrupt_in_a_look_goes_on_its_way_and_half_a_look_is_none(
    begin: Begin, server: FakeServer
) -> None:
    def interrupted() -> Iterator[Any]:
        yield next(batches())
        raise KeyboardInterrupt

    run, model = begin(), nn.Linear(5, 3)
    with pytest.raises(KeyboardInterrupt):
        look(run, model, interrupted())
    assert model.training
    assert not model._forward_pre_hooks
    close(run)
    look(run, model, batches(), epochs=(0, 1))
    close(run)
    run.finish()
    assert looked_at(server).keys() == {1}


def test_a_run_that_is_disabled_looks_at_nothing() -> None:
    run = sondage.init(dataset="none", mode="disabled")
    look(run, nn.Linear(5, 3), None)  # type: ignore[arg-type]
    look(run, nn.Linear(5, 3), batches(), epochs=(0,))
    assert not run.wants_features


@pytest.mark.timeout(300)
def test_the_tags_of_a_run_of_ones_own_take_its_look(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SONDAGE_URL", server_url)
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    inputs = (rng.normal(size=(400, 8)) + 3 * np.eye(4, 8)[labels]).astype(np.float32)
    wrong = rng.choice(400, 20, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 4
    torch.manual_seed(0)
    run = sondage.init(dataset="looked", run="looked", labels=labels, num_epochs=4, channels=CHANNELS)
    planted = plant(TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels)), run=run)
    loader, model = DataLoader(planted, batch_size=32, shuffle=True), nn.Linear(8, 4)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        for values, given, rows in loader:
            logits = model(values)
            loss = functional.cross_entropy(logits, given, reduction="none")
            run.log(rows=rows, loss=loss, logits=logits, labels=given)
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
        look(run, model, loader)
        run.end_epoch()
    run.finish()
    pending = run.tag(suite="default")
    tags = pending.wait().to_pandas()
    with Client() as client:
        found = client.runs.curves("looked", "left_out")
        report = client.taggings.report(pending.tagging).report
    np.testing.assert_array_equal(np.isfinite(found).any(axis=0), [False, True, True, True])
    here = np.array([int(row) for *_, rows in loader for row in rows])
    assert np.isfinite(found[here, 1:]).all()
    assert np.isnan(found[planted.displaced]).all()
    assert report["evidence"][0]["look_epoch"] in (1, 2, 3)
    worst = set(tags["index"].head(30))
    known = np.setdiff1d(wrong, planted.displaced)
    assert len(known) > 10
    assert len(worst & set(known)) >= 0.8 * len(known)
