"""The looks at the features: three in a training, of every row of the train split, of any model that allows it."""

import numpy as np
import pytest
import torch
from torch import nn

from sondage.errors import JobAborted
from sondage.tagging import left_out
from sondage.tagging.class_distance import class_distances
from sondage.tagging.left_out import look_epochs
from tests.unit.training.test_loop import RECIPES, run, short
from worker.data.loader import TrainingData
from worker.training.look import look
from worker.training.passes import Trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_looked_at(name, make_data, tmp_path):
    modality, recipe = RECIPES[name]
    split = np.repeat([0, 1, 2], [37, 8, 5])
    data = make_data(modality, split=split, displaced=[2, 11])
    sink = run(data, short(recipe, num_epochs=5), tmp_path)
    looked = [epoch for epoch, channels in sink.channels.items() if "label_odds" in channels]
    assert looked == list(look_epochs(5)) == [0, 1, 4]
    for epoch in looked:
        for channel in ("label_odds", "distance"):
            found = sink.channels[epoch][channel]
            assert np.isfinite(found[:37]).all(), "displaced ones too"
            assert np.isnan(found[37:]).all()
    assert all("distance" not in sink.channels[epoch] for epoch in (2, 3))


def test_probes_are_looked_at_and_have_no_say(make_data):
    def looked(label):
        probes = {"probes": (np.zeros((5, 4), np.float32),), "probe_labels": np.full(5, label)}
        data = make_data("vector", **probes)
        return look(Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU), data)

    ones, others = looked(0), looked(2)
    one, other = ones["label_odds"], others["label_odds"]
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one[:50], other[:50])
    assert (one[50:] != other[50:]).all()
    assert np.isfinite(ones["distance"]).all()
    np.testing.assert_array_equal(ones["distance"], others["distance"], "their labels least of all")


def test_a_probe_is_looked_at_without_the_example_that_it_was_made_from():
    rng = np.random.default_rng(1)
    labels = np.arange(50) % 3
    values = (rng.normal(size=(50, 4)) + labels[:, None]).astype(np.float32)
    data = TrainingData.assemble(
        "vector", (values,), labels, 3, probes=(values[:1],), probe_labels=labels[:1], displaced=[0]
    )
    found = look(Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU), data)
    assert found["label_odds"][50] == pytest.approx(found["label_odds"][0], abs=1e-3)
    assert found["distance"][50] == pytest.approx(found["distance"][0], rel=1e-5)


def test_distances_are_those_of_the_features_and_what_is_foreign_is_far():
    """A linear model's features are its inputs."""
    rng = np.random.default_rng(1)
    labels = np.arange(50) % 3
    values = (rng.normal(size=(50, 4)) + 3 * np.eye(3, 4)[labels]).astype(np.float32)
    values[11] = 7
    data = TrainingData.assemble(
        "vector", (values,), labels, 3, probes=(values[:1] + 0.5,), probe_labels=labels[:1], displaced=[0]
    )
    trainer = Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU)
    found = look(trainer, data)["distance"]
    source = np.append(np.full(50, -1), 0)
    everything, labels = np.concatenate([values, values[:1] + 0.5]), np.append(labels, labels[0])
    expected = class_distances(everything, labels, np.arange(51) < 50, source=source)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found.argmax() == 11
    kept = class_distances(everything, labels, np.arange(51) < 50)
    assert abs(found[50] / kept[50] - 1) > 1e-3, "its source would have told"


def test_a_wrong_label_of_plain_classes_is_seen(make_data):
    data = make_data("vector")
    data.labels[4] = (data.labels[4] + 1) % 3
    found = look(Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU), data)["label_odds"]
    assert found[4] < -2
    assert np.median(found) > 2


def test_wide_features_are_projected(make_data, monkeypatch):
    data = make_data("image")
    trainer = Trainer.build(data, short(RECIPES["convnet"][1]), seed=0, device=CPU)
    plain = look(trainer, data)
    monkeypatch.setattr(left_out, "WIDEST", 8)
    narrow, again = look(trainer, data), look(trainer, data)
    assert narrow.keys() == plain.keys() == {"label_odds", "distance"}
    for channel, values in narrow.items():
        assert values.shape == plain[channel].shape
        assert not np.array_equal(values, plain[channel])
        np.testing.assert_array_equal(values, again[channel])


def test_only_so_many_rows_are_fitted_and_all_are_looked_at(make_data, monkeypatch):
    data = make_data("vector")
    trainer = Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU)
    whole = look(trainer, data)
    monkeypatch.setattr(left_out, "MOST_FITTED", 30)
    for channel, values in look(trainer, data).items():
        assert np.isfinite(values).all()
        assert np.corrcoef(values, whole[channel])[0, 1] > 0.5


def test_a_model_that_diverged_and_classes_that_nobody_else_has(make_data):
    data = make_data("vector")
    data.labels[:] = 0
    data.labels[4] = 2
    trainer = Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU)
    found = look(trainer, data)
    assert np.isfinite(found["distance"]).all()
    assert np.isnan(found["label_odds"][4])
    trainer = Trainer.build(make_data("image"), short(RECIPES["convnet"][1]), seed=0, device=CPU)
    for one in trainer.model.parameters():
        one.data.fill_(torch.nan)
    for values in look(trainer, make_data("image")).values():
        assert np.isnan(values).all()


@pytest.mark.parametrize("tail", [nn.Conv1d(3, 3, 1), nn.Linear(3, 3)], ids=["no linear layer", "used twice"])
def test_a_model_that_does_not_end_in_one_linear_layer_is_not_looked_at(tail, make_data):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Parameter(torch.randn(4, 3))
            self.tail = tail

        def forward(self, values):
            hidden = values @ self.first
            if isinstance(self.tail, nn.Linear):
                return self.tail(self.tail(hidden))
            return self.tail(hidden[:, :, None])[:, :, 0]

    data = make_data("vector")
    trainer = Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU)
    object.__setattr__(trainer, "model", Odd())
    assert look(trainer, data) == {}


def test_an_abort_ends_it(make_data):
    data = make_data("vector")
    trainer = Trainer.build(data, short(RECIPES["linear"][1]), seed=0, device=CPU)

    def abort():
        raise JobAborted("now")

    with pytest.raises(JobAborted):
        look(trainer, data, abort)
    assert not any(layer._forward_pre_hooks for layer in trainer.model.modules())
