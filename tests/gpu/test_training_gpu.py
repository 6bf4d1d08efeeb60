"""On a real GPU: the same numbers as on the CPU, no waiting in a step, data resident or not."""

import numpy as np
import pytest
import torch

from sondage.recipe import Recipe
from sondage.recorder import MemorySink
from sondage.torch import EpochBuffer
from worker.data.loader import Loader, TrainingData
from worker.data.tokens import tokenise
from worker.training.checkpoint import CheckpointStore
from worker.training.loop import recorder_for, train
from worker.training.passes import Trainer, training_pass

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CUDA = torch.device("cuda")
RECIPES = [
    Recipe(model="convnet", width=8, augment="flip_shift", num_epochs=4, batch_size=64),
    Recipe(model="resnet20", width=8, augment="shift", num_epochs=4, batch_size=64, deterministic=True),
    Recipe(model="ngrams", optimiser="adamw", lr=0.01, num_epochs=4, batch_size=64),
    Recipe(model="table_mlp", optimiser="adamw", lr=0.01, num_epochs=4, batch_size=64),
    Recipe(model="linear", num_epochs=4, batch_size=64),
]


def data_for(recipe, num=300):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, num)
    values = (rng.normal(size=(num, 4)) + labels[:, None]).astype(np.float32)
    if recipe.model == "ngrams":
        texts = [" ".join(rng.choice(list("abcdef"), rng.integers(0, 9))) for _ in labels]
        return TrainingData.assemble("text", tokenise(texts), labels, 3)
    if recipe.model == "table_mlp":
        return TrainingData.assemble("table", (values, labels[:, None].astype(np.int32)), labels, 3)
    if recipe.model == "linear":
        return TrainingData.assemble("vector", (values,), labels, 3)
    pixels = (rng.integers(0, 100, (num, 16, 12, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    return TrainingData.assemble(
        "image", (pixels,), labels, 3, probes=(pixels[:20],), probe_labels=labels[:20], displaced=range(20)
    )


def run(data, recipe, folder, device=CUDA, **keywords):
    sink = keywords.pop("sink", None) or MemorySink()
    recorder = recorder_for(data, recipe, sink, device=device)
    train(data, recipe, recorder, seed=1, device=device, checkpoint=CheckpointStore(folder), **keywords)
    return sink


def test_the_buffer_gives_what_it_gives_on_the_cpu():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(1000, generator=generator)
    logits = torch.randn(1000, 7, generator=generator)
    labels = torch.randint(0, 7, (1000,), generator=generator)
    flushed = []
    for device in ("cpu", "cuda"):
        buffer = EpochBuffer(1000, 7, device)
        for start in range(0, 1000, 10):
            part = slice(start, start + 10)
            buffer.log(rows[part].to(device), logits[part].to(device), labels[part].to(device))
        flushed.append(buffer.flush())
    np.testing.assert_allclose(flushed[0]["loss"], flushed[1]["loss"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(flushed[0]["margin"], flushed[1]["margin"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(flushed[0]["predicted"], flushed[1]["predicted"])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.model)
def test_no_step_waits_for_the_device(recipe):
    data = data_for(recipe, num=64 * 100)
    trainer = Trainer.build(data, recipe, seed=0, device=CUDA)
    recorder = recorder_for(data, recipe, MemorySink(), device=CUDA)

    def after_batch(batches_done):
        if batches_done == 2:  # libraries set themselves up in the first steps
            torch.cuda.set_sync_debug_mode("error")

    try:
        training_pass(trainer, data.epoch_permutation(0, 0), 0, recorder.log, after_batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert np.isfinite(recorder.collect()["loss"][data.train_rows]).all()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.model)
def test_curves_are_near_those_of_the_cpu_in_the_first_epoch(recipe, tmp_path):
    """Without what is drawn on the device or rounded there."""
    recipe = recipe.with_overrides(
        {"augment": "none", "mixed_precision": "off", "num_epochs": 1, "schedule": "constant"}
    )
    data = data_for(recipe)
    on_gpu, on_cpu = (
        run(data, recipe, tmp_path / device, torch.device(device)).curves("loss")
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=0.02, atol=0.02)


def test_data_that_do_not_fit_give_the_same_batches():
    data = data_for(RECIPES[0])
    order = data.epoch_permutation(0, 0)
    loaders = [Loader(data, CUDA, resident=resident) for resident in (True, False)]
    for one, other in zip(*(loader.batches(order, 64) for loader in loaders), strict=True):
        assert one.inputs[0].is_cuda
        assert other.inputs[0].is_cuda
        assert torch.equal(one.inputs[0], other.inputs[0])
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.rows, other.rows)


def test_mixed_precision_records_float32_near_full_precision(tmp_path):
    recipe = RECIPES[0].with_overrides({"augment": "none", "num_epochs": 2})
    data = data_for(recipe)
    mixed = run(data, recipe, tmp_path / "1").curves("loss")
    full = run(data, recipe.with_overrides({"mixed_precision": "off"}), tmp_path / "2").curves("loss")
    assert mixed.dtype == np.float32
    assert np.nanmean(np.abs(mixed - full)) < 0.05 * np.nanmean(full)


class Dying(MemorySink):
    def write_epoch(self, epoch, channels, metrics):
        if epoch == 2:
            raise ConnectionError("killed")
        super().write_epoch(epoch, channels, metrics)


def test_a_killed_training_goes_on_as_if_it_had_not(tmp_path):
    recipe = RECIPES[1]
    data = data_for(recipe)
    whole = run(data, recipe, tmp_path / "whole")
    sink = Dying()
    with pytest.raises(ConnectionError):
        run(data, recipe, tmp_path / "cut", sink=sink)
    rest = run(data, recipe, tmp_path / "cut", start_epoch=2)
    sink.channels |= rest.channels
    np.testing.assert_allclose(sink.curves("loss"), whole.curves("loss"), rtol=1e-4, atol=1e-5)
