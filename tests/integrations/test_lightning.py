"""A real Lightning trainer on tiny data."""

from __future__ import annotations

import json
import logging
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sondage.errors import InvalidInput
from sondage.torch import Indexed, collate

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own, of loaders without workers and the like
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning.pytorch")
    from sondage.torch.lightning import SondageCallback

N = 37


def examples() -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(N) % 3
    return TensorDataset(torch.randn(N, 5, generator=generator) + labels[:, None], labels)


class Module(lightning.LightningModule):
    def __init__(self, fail_at: int | None = None, returned: str = "logits") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(5, 3)
        self.fail_at = fail_at
        self.returned = returned
        self.seen: dict[int, dict[int, float]] = {}

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.fail_at == self.trainer.current_epoch:
            raise RuntimeError("the user's own error")
        images, labels, rows = batch
        logits = self.layer(images)
        loss = functional.cross_entropy(logits, labels, reduction="none")
        own = self.seen.setdefault(self.trainer.current_epoch, {})
        own.update(zip(rows.tolist(), loss.tolist(), strict=True))
        smoothed = functional.cross_entropy(logits, labels, label_smoothing=0.1)
        self.log("smoothed", smoothed, on_epoch=True)
        self.log("epoch", 100.0)
        return {"loss": smoothed, "logits": logits} if self.returned == "logits" else smoothed

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val", functional.cross_entropy(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05)


def trainer(tmp_path: Any, *callbacks: Any, **options: Any) -> Any:
    usual = {
        "max_epochs": 2,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "devices": 1,
        "default_root_dir": str(tmp_path),
    }
    return lightning.Trainer(**{**usual, **options}, callbacks=list(callbacks))


def loader(**options: Any) -> Any:
    return DataLoader(Indexed(examples()), batch_size=8, shuffle=True, **options)


def expected(module: Module) -> np.ndarray:
    return np.array([[of_epoch[row] for of_epoch in module.seen.values()] for row in range(N)])


def test_the_plain_cross_entropy_of_every_example_is_recorded(recorded, tmp_path) -> None:
    run, module = recorded.init(num_examples=N), Module()
    trainer(tmp_path, SondageCallback(run)).fit(module, loader(), DataLoader(examples(), batch_size=8))
    np.testing.assert_allclose(recorded.curves(), expected(module), rtol=1e-5)
    assert recorded.ended() == "finished"
    metrics = [parcel.metrics for parcel in recorded.parcels()]
    assert all(isinstance(of_epoch["val"], float) for of_epoch in metrics)
    spec = run._parts.outbox.folder.spec()
    assert spec.protocol["loss"] == "cross-entropy from logits"
    assert spec.protocol["training_loss"] == "the module's own, not looked at"
    assert metrics[0]["num_seen"] == N  # neither the check before the training nor validation was recorded


def test_gradient_accumulation_changes_nothing(recorded, tmp_path) -> None:
    run, module = recorded.init(num_examples=N), Module()
    trainer(tmp_path, SondageCallback(run), accumulate_grad_batches=3).fit(module, loader())
    np.testing.assert_allclose(recorded.curves(), expected(module), rtol=1e-5)


def test_steps_that_return_none_are_skipped(recorded, tmp_path) -> None:
    class Skipping(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return None if batch_idx in (0, 2) else super().training_step(batch, batch_idx)

    run, module = recorded.init(num_examples=N), Skipping()
    trainer(tmp_path, SondageCallback(run), max_epochs=1).fit(module, loader())
    seen = np.flatnonzero(np.isfinite(recorded.curves()[:, 0]))
    assert seen.tolist() == sorted(module.seen[0])
    assert len(seen) == N - 16
    assert recorded.ended() == "finished"


def test_manual_optimisation_that_returns_none_is_told_what_is_missing(recorded, tmp_path) -> None:
    class Manual(Module):
        automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            self.manual_backward(self.layer(batch[0]).mean())

    with pytest.raises(InvalidInput, match="from_outputs=False"):
        trainer(tmp_path, SondageCallback(recorded.init(num_examples=N))).fit(Manual(), loader())


def test_batches_of_collate_and_of_mappings(recorded, tmp_path) -> None:
    class Other(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            inputs, rows = batch
            return super().training_step((*inputs, rows), batch_idx)

    class Mapped(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return super().training_step((batch["x"], batch["label"], batch["row"]), batch_idx)

    run, module = recorded.init(num_examples=N), Other()
    batches = DataLoader(Indexed(examples()), batch_size=8, collate_fn=collate())
    trainer(tmp_path, SondageCallback(run)).fit(module, batches)
    np.testing.assert_allclose(recorded.curves(), expected(module), rtol=1e-5)

    run, module = recorded.init(run="second", num_examples=N), Mapped()
    mapped = [{"x": x, "label": label} for x, label in examples()]
    trainer(tmp_path, SondageCallback(run)).fit(module, DataLoader(Indexed(mapped), batch_size=8))
    np.testing.assert_allclose(recorded.curves(run="second"), expected(module), rtol=1e-5)


def test_a_step_that_logs_by_itself(recorded, tmp_path) -> None:
    class Own(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            run.log(rows=batch[2], logits=self.layer(batch[0]), labels=batch[1])
            return loss

    run, module = recorded.init(num_examples=N), Own(returned="loss")
    trainer(tmp_path, SondageCallback(run, from_outputs=False)).fit(module, loader())
    np.testing.assert_allclose(recorded.curves(), expected(module), rtol=1e-5)


def test_a_step_that_returns_no_logits_is_told_so_at_once(recorded, tmp_path) -> None:
    run = recorded.init(num_examples=N)
    with pytest.raises(InvalidInput, match="'logits': logits"):
        trainer(tmp_path, SondageCallback(run)).fit(Module(returned="loss"), loader())
    assert recorded.ended() == "failed"


def test_a_loader_without_rows_is_told_so_at_once(recorded, tmp_path) -> None:
    class NoRows(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return {"loss": self.layer(batch[0]).mean(), "logits": self.layer(batch[0])}

    floats = TensorDataset(torch.zeros(N, 5), torch.zeros(N, 2))
    with pytest.raises(InvalidInput, match="Indexed"):
        trainer(tmp_path, SondageCallback(recorded.init(num_examples=N))).fit(
            NoRows(), DataLoader(floats, batch_size=8)
        )


def test_the_users_own_error_comes_through_and_the_run_has_failed(recorded, tmp_path) -> None:
    run = recorded.init(num_examples=N)
    with pytest.raises(RuntimeError, match="the user's own error"):
        trainer(tmp_path, SondageCallback(run), max_epochs=4).fit(Module(fail_at=2), loader())
    assert recorded.ended() == "failed"
    assert len(recorded.parcels()) == 2


def test_an_error_of_the_run_does_not_hide_the_users(recorded, tmp_path, caplog) -> None:
    class Broken:
        next_epoch = 0

        def log(self, **values: Any) -> None: ...

        def finish(self, state: str, **more: Any) -> None:
            raise OSError("the disk")

    with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError, match="the user's own error"):
        trainer(tmp_path, SondageCallback(Broken())).fit(Module(fail_at=0), loader())
    assert "could not be ended" in caplog.text


def test_a_training_that_is_resumed_is_not_recorded_twice(recorded, tmp_path) -> None:
    first = recorded.init(num_examples=N)
    begun = trainer(tmp_path, SondageCallback(first, finish=False), max_epochs=3)
    module = Module()
    begun.fit(module, loader())
    first.finish()
    before = recorded.curves()
    module.seen.clear()
    run = recorded.init(num_examples=N, resume=True)
    trainer(tmp_path, SondageCallback(run), max_epochs=5).fit(module, loader())
    assert recorded.curves().shape == (N, 5)
    np.testing.assert_array_equal(recorded.curves()[:, :3], before)
    np.testing.assert_allclose(recorded.curves()[:, 3:], expected(module)[:, 3:], rtol=1e-5)


def test_a_quick_trial_is_not_recorded(recorded, tmp_path) -> None:
    run = recorded.init(num_examples=N)
    trainer(tmp_path, SondageCallback(run), fast_dev_run=True).fit(Module(), loader())
    assert run.next_epoch == 0
    run.finish("aborted")


def test_each_process_begins_its_own_run(recorded, tmp_path) -> None:
    callback = SondageCallback(partial(recorded.init, num_examples=N))
    with pytest.raises(InvalidInput, match="begins with fit"):
        _ = callback.run
    trainer(tmp_path, callback).fit(Module(), loader())
    assert callback.run.next_epoch == 2
    (spec,) = recorded.spool.glob("*/run.json")
    assert json.loads(spec.read_text())["world_size"] == 1
