"""`sondage.torch.look`: the training goes on as if nothing had been, and the tags of a run take its look."""

from __future__ import annotations

import logging
from collections.abc import Iterator
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
from sondage.tagging.class_distance import class_distances
from sondage.tagging.left_out import left_out_odds
from sondage.torch import Indexed, look, plant
from tests.recorder.conftest import Begin
from tests.recorder.fake_server import FakeServer
from tests.recorder.sixty_examples import CHANNELS, FEATURES, GIVEN, N, close, looked_at, warnings_in


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

    run = begin(channels=(*CHANNELS, "distance"))
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
    assert looked_at(server).keys() == {0, 2}
    model.eval()
    with torch.no_grad():
        hidden = model.body(model.frozen(torch.from_numpy(FEATURES)))
    np.testing.assert_allclose(logged, hidden, atol=1e-5)
    expected = left_out_odds(logged, GIVEN, np.ones(N, bool))
    np.testing.assert_allclose(looked_at(server)[2], expected, atol=1e-5)
    far = class_distances(logged, GIVEN, np.ones(N, bool))
    np.testing.assert_allclose(looked_at(server, "distance")[2], far, rtol=1e-4)
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
    run = begin(num_epochs=4)
    look(run, model, loader)
    close(run)
    look(run, model, loader, layer=model.head, forward=lambda batch: model(batch["values"]))
    close(run)
    close(run)
    look(run, compiled, loader)
    close(run)
    run.finish()
    expected = left_out_odds(FEATURES, GIVEN, np.ones(N, bool))
    for epoch in (0, 1, 3):
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


FAULTS: list[tuple[nn.Module, Any, str]] = [
    (Fails(), list(batches()), "out of memory"),
    (nn.Sequential(nn.Linear(5, 7)), list(batches()), "layer="),
    (nn.Flatten(), list(batches()), "layer="),
    (Twice(), list(batches()), "once in a forward pass"),
    (nn.Linear(5, 3), [], "no batch"),
    (nn.Linear(5, 3), [torch.zeros(4, 5)], "rows"),
    (nn.Linear(5, 3), None, "NoneType"),
]


def test_a_fault_of_a_look_is_said_once_and_changes_nothing(
    begin: Begin, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin()
    caplog.set_level(logging.DEBUG, "sondage")
    for model, loader, _ in FAULTS:
        look(run, model, loader, epochs=range(len(FAULTS)))
        close(run)
        assert model.training
        assert not any(layer._forward_pre_hooks for layer in model.modules())
    run.finish()
    assert len(server.run.closed) == len(FAULTS)
    assert looked_at(server) == {}
    said = [text for text in map(logging.LogRecord.getMessage, caplog.records) if "not recorded" in text]
    assert [reason in text for text, (*_, reason) in zip(said, FAULTS, strict=True)] == [True] * len(FAULTS)
    assert warnings_in(caplog) == said[:1]


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
        found = client.runs.curves("looked", "label_odds")
        report = client.taggings.report(pending.tagging).report
    np.testing.assert_array_equal(np.isfinite(found).any(axis=0), [True, True, False, True])
    here = np.array([int(row) for *_, rows in loader for row in rows])
    assert np.isfinite(found[here][:, [0, 1, 3]]).all()
    assert np.isnan(found[planted.displaced]).all()
    assert report["evidence"][0]["look_epoch"] in (0, 1, 3)
    worst = set(tags["index"].head(30))
    known = np.setdiff1d(wrong, planted.displaced)
    assert len(known) > 10
    assert len(worst & set(known)) >= 0.8 * len(known)
