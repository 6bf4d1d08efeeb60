"""The training loop: what is recorded, what a stop costs (nothing), what is said when it goes wrong."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sondage.errors import Conflict, InvalidInput, JobAborted
from sondage.recipe import Recipe
from sondage.recorder import MemorySink
from worker.data.loader import TrainingData
from worker.training import loop
from worker.training.checkpoint import CheckpointStore
from worker.training.loop import recorder_for, train
from worker.training.passes import Trainer

RECIPES = {
    "convnet": ("image", Recipe(model="convnet", width=4, augment="flip_shift", dropout=0.2)),
    "resnet20": ("image", Recipe(model="resnet20", width=4, augment="shift", schedule="step")),
    "ngrams": ("text", Recipe(model="ngrams", width=4, optimiser="adamw", lr=0.01, dropout=0.1)),
    "table_mlp": ("table", Recipe(model="table_mlp", width=8, optimiser="adamw", lr=0.01)),
    "linear": ("vector", Recipe(model="linear", label_smoothing=0.1, nesterov=False)),
    "mlp": ("vector", Recipe(model="mlp", width=8, dropout=0.2, warmup_epochs=1)),
}


def short(recipe, **changes):
    return recipe.with_overrides({"num_epochs": 4, "batch_size": 16} | changes)


def run(data, recipe, folder, *, sink=None, seed=5, **keywords):
    sink = sink or MemorySink()
    train(
        data,
        recipe,
        recorder_for(data, recipe, sink),
        seed=seed,
        checkpoint=CheckpointStore(folder),
        **keywords,
    )
    return sink


def assert_same_curves(one, other):
    assert sorted(one.channels) == sorted(other.channels)
    for channel in ("loss", "margin", "predicted"):
        np.testing.assert_array_equal(one.curves(channel), other.curves(channel), err_msg=channel)
    for epoch, channels in one.channels.items():
        assert channels.keys() == other.channels[epoch].keys()
        for look in channels.keys() & {"label_odds", "distance"}:
            np.testing.assert_array_equal(channels[look], other.channels[epoch][look])


LOOK_CALLS = 3
"""Two batches and one block of the look at the features, in one epoch of a training."""


class Stop:
    """Says stop when asked for the n-th time."""

    def __init__(self, after):
        self.left = after

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("pass_", ["training", "evaluation"])
def test_every_recipe_trains_and_records_every_train_row(name, pass_, make_data, tmp_path):
    modality, recipe = RECIPES[name]
    split = np.repeat([0, 1, 2], [37, 8, 5])
    data = make_data(modality, split=split, displaced=[2, 11])
    sink = run(data, short(recipe, **{"pass": pass_}), tmp_path)
    loss, predicted = sink.curves("loss"), sink.curves("predicted")
    seen = np.isin(np.arange(50), data.train_rows)
    assert loss.shape == (50, 4)
    assert np.isfinite(loss[seen]).all()
    assert np.isnan(loss[~seen]).all()
    assert (predicted[~seen] == -1).all()
    assert np.isin(predicted[seen], range(3)).all()
    np.testing.assert_array_equal(predicted[seen] == data.labels[seen, None], sink.curves("margin")[seen] > 0)


@pytest.mark.parametrize("name", RECIPES)
def test_every_model_learns(name, make_data, tmp_path):
    modality, recipe = RECIPES[name]
    data = make_data(modality, num=150)
    sink = run(data, short(recipe, num_epochs=12, dropout=0.0, augment="none"), tmp_path)
    assert sink.metrics[11]["train_accuracy"] > sink.metrics[0]["train_accuracy"]
    # Words other than a class's own are drawn too, and some texts are empty.
    assert sink.metrics[11]["train_accuracy"] > (0.75 if modality == "text" else 0.9)


@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (32, 32, 3), (17, 23, 4), (8, 8, 1)])
@pytest.mark.parametrize("model", ["convnet", "resnet20"])
def test_images_of_odd_sizes(model, height, width, channels, image_arrays, tmp_path):
    pixels, labels = image_arrays(9, height, width, channels)
    data = TrainingData.assemble("image", (pixels,), labels, 3)
    recipe = Recipe(model=model, width=4, num_epochs=2, batch_size=4, augment="flip_shift")
    assert np.isfinite(run(data, recipe, tmp_path).curves("loss")).all()


@pytest.mark.parametrize("num", [2, 3, 16, 17, 33])
def test_a_last_batch_of_one_row_is_no_obstacle_to_batch_norm(num, make_data, tmp_path):
    recipe = short(RECIPES["mlp"][1], num_epochs=2)
    assert np.isfinite(run(make_data("vector", num=num), recipe, tmp_path).curves("loss")).all()


class Spy(MemorySink):
    """Keeps what the model says of all rows, without augmentation, whenever an epoch is committed."""

    def watch(self, monkeypatch):
        build = Trainer.build.__func__
        monkeypatch.setattr(
            Trainer,
            "build",
            classmethod(lambda *a, **k: setattr(self, "trainer", build(*a, **k)) or self.trainer),
        )
        self.logits = []

    def write_epoch(self, epoch, channels, metrics):
        super().write_epoch(epoch, channels, metrics)
        self.trainer.model.eval()
        loader = self.trainer.loader
        (batch,) = loader.batches(np.arange(len(loader._labels)), 1000)
        with torch.no_grad():
            self.logits.append(self.trainer.logits(batch))


def test_the_evaluation_pass_is_what_the_trained_model_says(make_data, tmp_path, monkeypatch):
    modality, recipe = RECIPES["convnet"]
    data = make_data(modality, displaced=[1, 4])
    spy = Spy()
    spy.watch(monkeypatch)
    run(data, short(recipe, **{"pass": "evaluation"}), tmp_path, sink=spy)
    for epoch, logits in enumerate(spy.logits):
        expected = functional.cross_entropy(logits, torch.from_numpy(data.labels), reduction="none").numpy()
        np.testing.assert_allclose(
            spy.channels[epoch]["loss"][data.train_rows], expected[data.train_rows], rtol=1e-4, atol=1e-5
        )
    assert np.isnan(spy.curves("loss")[[1, 4]]).all()


def test_the_training_pass_is_what_the_model_said_when_it_trained(make_data, tmp_path):
    """One step an epoch of a linear model: the whole training can be done by hand."""
    data = make_data("vector", num=40)
    recipe = Recipe(
        model="linear", num_epochs=3, batch_size=40, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0,
        schedule="constant", label_smoothing=0.2,
    )  # fmt: skip
    sink = run(data, recipe, tmp_path)
    trainer = Trainer.build(data, recipe, seed=5, device=torch.device("cpu"))
    (batch,) = trainer.loader.batches(np.arange(40), 40)
    (inputs,) = trainer.prepare(batch.inputs, None)
    weight, bias = (p.detach().clone().double().requires_grad_() for p in trainer.model.parameters())
    for epoch in range(3):
        logits = inputs.double() @ weight.T + bias
        plain = functional.cross_entropy(logits, batch.labels, reduction="none")
        np.testing.assert_allclose(sink.channels[epoch]["loss"], plain.detach(), rtol=1e-4)
        loss = functional.cross_entropy(logits, batch.labels, label_smoothing=0.2)
        gradients = torch.autograd.grad(loss, [weight, bias])
        weight, bias = (
            (p - 0.1 * g).detach().requires_grad_() for p, g in zip([weight, bias], gradients, strict=True)
        )


def test_displaced_rows_are_scored_out_of_sample_where_asked(make_data, tmp_path):
    recipe = short(RECIPES["mlp"][1], **{"pass": "evaluation", "score_displaced": True})
    data = make_data("vector", displaced=[1, 4])
    sink = run(data, recipe, tmp_path)
    assert np.isfinite(sink.curves("loss")).all()
    without = run(data, recipe.with_overrides({"score_displaced": False}), tmp_path / "2")
    np.testing.assert_array_equal(
        sink.curves("loss")[data.train_rows], without.curves("loss")[data.train_rows]
    )


@pytest.mark.parametrize("name", RECIPES)
def test_equal_seeds_give_equal_curves_and_others_do_not(name, make_data, tmp_path):
    modality, recipe = RECIPES[name]
    data = make_data(modality)
    one = run(data, short(recipe), tmp_path / "1")
    torch.rand(3)  # the process's own generator has no say
    assert_same_curves(one, run(data, short(recipe), tmp_path / "2"))
    other = run(data, short(recipe), tmp_path / "3", seed=6)
    assert not np.array_equal(one.curves("loss"), other.curves("loss"))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("pass_", ["training", "evaluation"])
def test_a_training_stopped_in_the_middle_of_an_epoch_goes_on_as_if_it_had_not(
    name, pass_, make_data, tmp_path
):
    modality, recipe = RECIPES[name]
    data, recipe = make_data(modality), short(recipe, **{"pass": pass_})
    whole = run(data, recipe, tmp_path / "whole")
    calls_an_epoch = 4 + (2 if recipe.evaluates else 0)
    sink = MemorySink()
    with pytest.raises(JobAborted):
        run(
            data, recipe, tmp_path / "cut", sink=sink, should_stop=Stop(2 * (calls_an_epoch + LOOK_CALLS) + 2)
        )
    assert sorted(sink.channels) == [0, 1]
    run(data, recipe, tmp_path / "cut", sink=sink, start_epoch=2)
    assert_same_curves(whole, sink)


class Dying(MemorySink):
    """Dies at the commit of one epoch, once: before it is written, or after."""

    def __init__(self, epoch, written):
        super().__init__()
        self.epoch, self.written = epoch, written

    def write_epoch(self, epoch, channels, metrics):
        dies, written = epoch == self.epoch, self.written
        if dies:
            self.epoch = None
        if written or not dies:
            super().write_epoch(epoch, channels, metrics)
        if dies:
            raise ConnectionError("killed")


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("epoch", [0, 2, 3])
@pytest.mark.parametrize("name", ["convnet", "ngrams"])
def test_a_training_killed_between_an_epochs_end_and_its_commit(name, epoch, written, make_data, tmp_path):
    modality, recipe = RECIPES[name]
    data, recipe = make_data(modality), short(recipe)
    sink = Dying(epoch, written)
    with pytest.raises(ConnectionError):
        run(data, recipe, tmp_path / "cut", sink=sink)
    assert len(sink.channels) == epoch + written
    run(data, recipe, tmp_path / "cut", sink=sink, start_epoch=len(sink.channels))
    assert_same_curves(run(data, recipe, tmp_path / "whole"), sink)


def test_the_same_recorder_can_go_on_after_a_stop(make_data, tmp_path):
    modality, recipe = RECIPES["mlp"]
    data, recipe = make_data(modality), short(recipe)
    sink = MemorySink()
    recorder = recorder_for(data, recipe, sink)
    keywords = {"seed": 5, "checkpoint": CheckpointStore(tmp_path / "cut")}
    with pytest.raises(JobAborted):
        train(data, recipe, recorder, should_stop=Stop(4 + LOOK_CALLS + 2), **keywords)
    train(data, recipe, recorder, start_epoch=len(sink.channels), **keywords)
    assert_same_curves(run(data, recipe, tmp_path / "whole"), sink)


@pytest.mark.parametrize("lost", [[3], [2, 3]])
def test_lost_checkpoints_cost_time_but_no_curves(lost, make_data, tmp_path):
    modality, recipe = RECIPES["mlp"]
    data, recipe = make_data(modality), short(recipe, num_epochs=6)
    whole = run(data, recipe, tmp_path / "whole")
    sink = MemorySink()
    with pytest.raises(JobAborted):
        run(data, recipe, tmp_path / "cut", sink=sink, should_stop=Stop(4 * 4 + 2 * LOOK_CALLS + 1))
    for epoch in lost:
        (tmp_path / "cut" / f"epoch-{epoch:06d}.ckpt").write_bytes(b"")
    recorder = recorder_for(data, recipe, sink)
    first = train(data, recipe, recorder, seed=5, checkpoint=CheckpointStore(tmp_path / "cut"), start_epoch=4)
    assert first == (3 if lost == [3] else 0)
    assert_same_curves(whole, sink)


def test_an_epoch_is_committed_only_after_its_checkpoint(make_data, tmp_path):
    data, recipe = make_data("vector"), short(RECIPES["linear"][1])

    class Checking(MemorySink):
        def write_epoch(self, epoch, channels, metrics):
            assert CheckpointStore(tmp_path).load(epoch) is not None
            super().write_epoch(epoch, channels, metrics)

    assert len(run(data, recipe, tmp_path, sink=Checking()).channels) == 4


def test_a_finished_training_has_nothing_to_do(make_data, tmp_path):
    data, recipe = make_data("vector"), short(RECIPES["linear"][1])
    assert run(data, recipe, tmp_path, start_epoch=4).channels == {}


def test_a_start_past_the_end_is_refused(make_data, tmp_path):
    with pytest.raises(InvalidInput, match="4 epochs"):
        run(make_data("vector"), short(RECIPES["linear"][1]), tmp_path, start_epoch=5)


@pytest.mark.parametrize("change", ["seed", "recipe", "labels"])
def test_checkpoints_of_another_training_are_not_gone_on_with(change, make_data, tmp_path):
    data, recipe = make_data("vector"), short(RECIPES["linear"][1])
    with pytest.raises(JobAborted):
        run(data, recipe, tmp_path, should_stop=Stop(4 + LOOK_CALLS + 2))
    if change == "labels":
        data.labels[0] = (data.labels[0] + 1) % 3
    recipe = recipe.with_overrides({"lr": 0.01}) if change == "recipe" else recipe
    with pytest.raises(Conflict, match="another training"):
        run(data, recipe, tmp_path, seed=9 if change == "seed" else 5, start_epoch=1)


def test_metrics_are_those_of_the_curves(make_data, tmp_path):
    data = make_data("table", num=60, split=np.repeat([0, 1], [45, 15]))
    sink = run(data, short(RECIPES["table_mlp"][1]), tmp_path)
    for epoch, metrics in sink.metrics.items():
        channels = sink.channels[epoch]
        assert metrics["train_loss"] == pytest.approx(channels["loss"][:45].mean(), rel=1e-6)
        assert metrics["train_accuracy"] == (channels["margin"][:45] > 0).mean()
        assert metrics["num_nonfinite"] == 0
        assert 0 <= metrics["validation_accuracy"] <= 1
        assert metrics["examples_per_second"] > 0
        assert metrics["seconds"] > 0


def test_validation_accuracy_is_that_of_the_model(make_data, tmp_path, monkeypatch):
    data = make_data("image", num=60, split=np.repeat([0, 1], [45, 15]))
    spy = Spy()
    spy.watch(monkeypatch)
    run(data, short(RECIPES["convnet"][1]), tmp_path, sink=spy)
    for epoch, logits in enumerate(spy.logits):
        right = (logits.argmax(1).numpy() == data.labels)[45:]
        assert spy.metrics[epoch]["validation_accuracy"] == pytest.approx(right.mean())


def test_no_validation_rows_no_validation_accuracy(make_data, tmp_path):
    sink = run(make_data("vector"), short(RECIPES["linear"][1]), tmp_path)
    assert {metrics["validation_accuracy"] for metrics in sink.metrics.values()} == {None}


def test_measuring_on_validation_rows_changes_no_curve(make_data, tmp_path):
    split = np.repeat([0, 2], [40, 10])
    recipe = short(RECIPES["convnet"][1])
    without = run(make_data("image", split=split), recipe, tmp_path / "1")
    split = np.repeat([0, 1], [40, 10])
    assert_same_curves(without, run(make_data("image", split=split), recipe, tmp_path / "2"))


def test_progress_is_told_and_ends_with_the_epoch(make_data, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_PROGRESS_SECONDS", 0)
    told = []
    run(make_data("vector"), short(RECIPES["mlp"][1]), tmp_path, on_progress=told.append)
    assert [(p.epoch, p.batches_done) for p in told] == [(e, b + 1) for e in range(4) for b in range(4)]
    assert {(p.num_epochs, p.num_batches) for p in told} == {(4, 4)}
    assert all(p.examples_per_second > 0 for p in told)
    assert told[-1].seconds_left == 0
    assert told[0].seconds_left > 0


def test_progress_is_not_told_for_every_batch(make_data, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_PROGRESS_SECONDS", 3600)
    told = []
    run(make_data("vector"), short(RECIPES["mlp"][1]), tmp_path, on_progress=told.append)
    assert [p.batches_done for p in told] == [4] * 4


def test_a_diverged_training_says_what_to_do(make_data, tmp_path):
    recipe = short(RECIPES["linear"][1], lr=100.0, weight_decay=10.0, schedule="constant", num_epochs=200)
    sink = MemorySink()
    with pytest.raises(InvalidInput, match=r"diverged.*Lower lr \(now 100; try 10\)") as caught:
        run(make_data("vector"), recipe, tmp_path, sink=sink)
    assert caught.value.field == "lr"
    assert any(metrics["num_nonfinite"] for metrics in sink.metrics.values()) or sink.channels


class SometimesNaN(nn.Module):
    """Says NaN of every vector whose first value is above 1."""

    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(*spec.shape, spec.num_classes)

    def forward(self, values):
        return torch.where(values[:, :1] > 1, torch.nan, self.layer(values.nan_to_num()).detach()) + 0 * (
            self.layer.bias
        )


def test_some_losses_that_are_not_finite_are_recorded_and_counted(make_data, tmp_path, monkeypatch):
    monkeypatch.setattr("worker.training.passes.build_model", lambda recipe, spec, **_: SometimesNaN(spec))
    recipe = short(RECIPES["linear"][1], num_epochs=1, batch_size=50, **{"pass": "training"})
    data = make_data("vector")
    sink = run(data, recipe, tmp_path)
    unfinite = ~np.isfinite(sink.channels[0]["loss"])
    assert 0 < unfinite.sum() < 50
    assert sink.metrics[0]["num_nonfinite"] == unfinite.sum()
    assert np.isfinite(sink.metrics[0]["train_loss"])
    assert (sink.channels[0]["predicted"] >= 0).all()


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_what_to_do(error, make_data, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(Trainer, "logits", fail)
    with pytest.raises(InvalidInput, match=r"batch_size 16: lower it \(8") as caught:
        run(make_data("vector"), short(RECIPES["mlp"][1]), tmp_path)
    assert caught.value.field == "batch_size"


@pytest.mark.parametrize("num_outputs", [1, 2, 4])
def test_a_model_with_other_outputs_is_refused(num_outputs, make_data, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "worker.training.passes.build_model", lambda recipe, spec, **_: nn.Linear(*spec.shape, num_outputs)
    )
    with pytest.raises(InvalidInput, match="3 classes") as caught:
        run(make_data("vector"), short(RECIPES["linear"][1]), tmp_path)
    assert caught.value.field == "model"


def test_other_errors_pass_as_they_are(make_data, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Trainer, "logits", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        run(make_data("vector"), short(RECIPES["mlp"][1]), tmp_path)


@pytest.mark.parametrize("name", ["convnet", "resnet20", "ngrams", "table_mlp"])
def test_deterministic_algorithms_suffice_and_are_switched_back(name, make_data, tmp_path):
    modality, recipe = RECIPES[name]
    data = make_data(modality)
    run(data, short(recipe, deterministic=True), tmp_path)
    assert not torch.are_deterministic_algorithms_enabled()


def test_half_precision_curves_are_those_of_full_precision_rounded(make_data, tmp_path):
    data, recipe = make_data("vector"), short(RECIPES["mlp"][1])
    full = run(data, recipe, tmp_path / "1").curves("loss")
    half = run(data, recipe.with_overrides({"dtype": "float16"}), tmp_path / "2").curves("loss")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, full.astype(np.float16))
