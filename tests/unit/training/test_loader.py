"""The data of a run: which rows play which part, and batches that carry their row numbers."""

import threading

import numpy as np
import pytest
import torch

from sondage.errors import InvalidInput
from worker.data.loader import Loader, TrainingData, batch_bounds, prefetched
from worker.data.tokens import tokenise

CPU = torch.device("cpu")
MODALITIES = ["image", "text", "table", "vector"]


def test_rows_play_their_parts():
    values = np.zeros((6, 2), np.float32)
    data = TrainingData.assemble(
        "vector", (values,), np.array([0, 1, 0, 1, 0, 1]), 2,
        split=np.array([0, 0, 0, 1, 2, 0]),
        probes=(values[:2],), probe_labels=np.array([1, 1]), displaced=[2],
    )  # fmt: skip
    assert data.num_rows == 8
    assert data.train_rows.tolist() == [0, 1, 5, 6, 7]
    assert data.validation_rows.tolist() == [3]
    assert data.displaced_rows.tolist() == [2]
    assert data.labels.tolist() == [0, 1, 0, 1, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": np.array([0, 1, 2])}, "Row 2 has label 2"),
        ({"labels": np.array([0, -1, 1])}, "Row 1 has label -1"),
        ({"labels": np.array([0, 1])}, "3 inputs and 2 labels"),
        ({"labels": np.array([0.0, 1.0, 0.0])}, "whole numbers"),
        ({"num_classes": 1}, "at least 2"),
        ({"split": np.array([0, 0, 3])}, "split"),
        ({"split": np.array([0, 0])}, "split"),
        ({"split": np.array([1, 1, 0])}, "1 rows are left"),
        ({"displaced": [3]}, "0…2"),
        ({"displaced": [-1]}, "0…2"),
        ({"displaced": [2], "split": np.array([0, 0, 1])}, "train split only"),
        ({"examples": (np.zeros((3, 2)),)}, "float64"),
        ({"examples": (np.zeros(3, np.float32),)}, "1 axes"),
        ({"examples": ()}, "values"),
        ({"modality": "audio"}, "image, vector"),
        ({"probes": (np.zeros((1, 3), np.float32),), "probe_labels": np.array([0])}, "same size"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    arguments = {
        "modality": "vector", "examples": (np.zeros((3, 2), np.float32),), "labels": np.array([0, 1, 0]),
        "num_classes": 2,
    }  # fmt: skip
    with pytest.raises(InvalidInput, match=said):
        TrainingData.assemble(**arguments | change)


@pytest.mark.parametrize("num", [0, 1, 2, 3, 5, 63, 64, 65, 127, 129, 1000])
@pytest.mark.parametrize("batch_size", [2, 3, 64])
def test_batches_cover_every_row_once_and_are_of_one_size(num, batch_size):
    bounds = batch_bounds(num, batch_size)
    assert [row for low, high in bounds for row in range(low, high)] == list(range(num))
    sizes = [high - low for low, high in bounds]
    if num >= 2:
        assert min(sizes) >= 2, "batch normalisation needs two"
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= max(batch_size, 3)


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone(make_data):
    data = make_data("vector", num=200)
    first = data.epoch_permutation(7, 3)
    assert sorted(first) == list(range(200))
    np.random.seed(1)
    np.random.rand(5)
    assert np.array_equal(data.epoch_permutation(7, 3), first)
    for other in (data.epoch_permutation(7, 4), data.epoch_permutation(8, 3)):
        assert (other == first).mean() < 0.05


def test_a_seed_must_be_a_whole_number(make_data):
    for seed in (-1, 1.5, True, 2**63):
        with pytest.raises(InvalidInput, match="seed"):
            make_data("vector").epoch_permutation(seed, 0)


def arrays_and_copies(modality, make_data):
    """Data whose probes are copies of examples 3, 0 and 4, and those rows."""
    plain = make_data(modality)
    rows = np.array([3, 0, 4])
    if modality == "text":
        arrays = (plain.inputs._host_offsets, plain.inputs._host_tokens)
        tokens, starts = plain.inputs.select(torch.from_numpy(rows), rows)
        copies = (np.append(starts.numpy(), len(tokens)), tokens.numpy())
    else:
        arrays = tuple(tensor.numpy() for tensor in plain.inputs._parts[0])
        copies = tuple(array[rows] for array in arrays)
    data = TrainingData.assemble(
        modality, arrays, plain.labels, 3, probes=copies, probe_labels=plain.labels[rows]
    )
    return plain, data, rows


@pytest.mark.parametrize("modality", MODALITIES)
def test_probes_lie_behind_the_examples(modality, make_data):
    plain, data, rows = arrays_and_copies(modality, make_data)
    mixed = np.array([51, 7, 50, 52, 49])
    same = np.array([rows[1], 7, rows[0], rows[2], 49])
    (batch,) = Loader(data, CPU).batches(mixed, 8)
    (expected,) = Loader(plain, CPU).batches(same, 8)
    assert batch.rows.tolist() == mixed.tolist()
    assert torch.equal(batch.labels, expected.labels)
    for one, other in zip(batch.inputs, expected.inputs, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("modality", MODALITIES)
def test_data_joined_on_a_device_give_the_same_batches(modality, make_data):
    """What lies on a GPU is one array of examples and probes; checked here on the CPU."""
    _, data, _ = arrays_and_copies(modality, make_data)
    joined = data.inputs.to(CPU)
    rows = np.array([52, 0, 50, 9])
    for one, other in zip(
        joined.select(torch.from_numpy(rows), rows),
        data.inputs.select(torch.from_numpy(rows), rows),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_a_batch_of_every_row_in_order(make_data):
    data = make_data("vector")
    order = data.epoch_permutation(0, 0)
    batches = list(Loader(data, CPU).batches(order, 16))
    assert torch.cat([batch.rows for batch in batches]).tolist() == order.tolist()
    assert torch.cat([batch.labels for batch in batches]).tolist() == data.labels[order].tolist()


def test_memory_mapped_images_are_read_where_they_lie(tmp_path, image_arrays):
    pixels, labels = image_arrays(20)
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    data = TrainingData.assemble("image", (mapped,), labels, 3)
    rows = np.array([5, 19, 0])
    (batch,) = Loader(data, CPU).batches(rows, 3)
    assert np.array_equal(batch.inputs[0].numpy(), pixels[rows])
    assert data.inputs._parts[0][0].data_ptr() == mapped.ctypes.data


@pytest.mark.parametrize(
    ("modality", "shape", "cardinalities"),
    [("image", (1, 8, 8), ()), ("text", (), ()), ("table", (4,), (3, 5)), ("vector", (4,), ())],
)
def test_the_form_of_the_inputs(make_data, modality, shape, cardinalities):
    spec = make_data(modality).spec
    assert (spec.modality, spec.num_classes) == (modality, 3)
    assert (spec.shape, spec.cardinalities) == (shape, cardinalities)


def test_a_probe_may_hold_the_largest_code():
    numbers = np.zeros((3, 1), np.float32)
    codes = np.array([[0], [1], [-1]], np.int32)
    data = TrainingData.assemble(
        "table", (numbers, codes), np.array([0, 1, 0]), 2,
        probes=(numbers[:1], np.array([[4]], np.int32)), probe_labels=np.array([1]),
    )  # fmt: skip
    assert data.spec.cardinalities == (5,)


def test_words_become_numbers_that_last():
    tokens = tokenise(["Don't panic!"])[1]
    assert tokens[3] == 514_294_162, "another number would change every recorded run"


def test_prefetching_changes_nothing_and_runs_ahead():
    made = []

    def items():
        for item in range(10):
            made.append(item)
            yield item

    ahead = prefetched(items(), 3)
    assert next(ahead) == 0
    assert list(ahead) == list(range(1, 10))
    assert made == list(range(10))


def test_an_error_while_prefetching_is_raised_where_the_items_are_used():
    def items():
        yield 1
        raise OSError("disk gone")

    ahead = prefetched(items(), 2)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)


def test_a_prefetching_thread_ends_with_its_user():
    ahead = prefetched(iter(range(1000)), 2)
    next(ahead)
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
