"""Probes and examples are treated alike: copies of examples have curves of the same distribution."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from sondage.recipe import Recipe
from sondage.recorder import MemorySink
from worker.data.loader import TrainingData
from worker.training.checkpoint import CheckpointStore
from worker.training.loop import recorder_for, train

NUM, NUM_PROBES = 600, 200


def curves_of(image_arrays, folder, recipe, *, relabel=False):
    """Curves of a training in which 200 examples give way to probes that are copies of them."""
    pixels, labels = image_arrays(NUM)
    wrong = np.random.default_rng(0).random(NUM) < 0.1
    labels[wrong] = (labels[wrong] + 1) % 3
    displaced = np.random.default_rng(1).permutation(NUM)[:NUM_PROBES]
    probe_labels = (labels[displaced] + relabel) % 3
    data = TrainingData.assemble(
        "image", (pixels,), labels, 3,
        probes=(pixels[displaced],), probe_labels=probe_labels, displaced=displaced,
    )  # fmt: skip
    sink = MemorySink()
    train(data, recipe, recorder_for(data, recipe, sink), seed=3, checkpoint=CheckpointStore(folder))
    examples = data.train_rows[data.train_rows < NUM]
    return {name: (sink.curves(name)[NUM:], sink.curves(name)[examples]) for name in ("loss", "margin")}


RECIPE = Recipe(width=8, num_epochs=5, batch_size=32, augment="flip_shift", dropout=0.2)


@pytest.mark.parametrize("pass_", ["training", "evaluation"])
def test_copies_have_curves_of_the_same_distribution(pass_, image_arrays, tmp_path):
    recipe = RECIPE.with_overrides({"pass": pass_})
    for name, (copies, examples) in curves_of(image_arrays, tmp_path, recipe).items():
        assert len(copies) == NUM_PROBES
        assert ks_2samp(copies.mean(axis=1), examples.mean(axis=1)).pvalue > 0.05, name
        for epoch in range(recipe.num_epochs):
            # A Bonferroni bound over two channels and five epochs.
            assert ks_2samp(copies[:, epoch], examples[:, epoch]).pvalue > 0.05 / 10, (name, epoch)


def test_the_test_can_tell(image_arrays, tmp_path):
    """With other labels the copies' curves are of another distribution."""
    copies, examples = curves_of(image_arrays, tmp_path, RECIPE, relabel=True)["loss"]
    assert ks_2samp(copies.mean(axis=1), examples.mean(axis=1)).pvalue < 1e-6


def test_augmentation_reaches_probes_and_examples_alike(image_arrays, tmp_path):
    """Without any learning, the curve of an augmented row moves from epoch to epoch; of any other it stays."""
    recipe = RECIPE.with_overrides({"lr": 1e-30, "weight_decay": 0.0, "dropout": 0.0, "model": "convnet"})
    for augment, moves in (("flip_shift", True), ("none", False)):
        chosen = recipe.with_overrides({"augment": augment, "batch_size": NUM})
        for part in curves_of(image_arrays, tmp_path / augment, chosen)["loss"]:
            spread = part.std(axis=1)
            assert (np.median(spread) > 1e-3) == moves
