"""Probes planted in datasets of the user's own."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset

from sondage.errors import InvalidInput, Unsupported
from sondage.probes.suite import Generator, SuiteDefinition, default_suite
from sondage.torch import Indexed
from sondage.torch.planting import plant

N, CLASSES = 200, 4
FLIP = SuiteDefinition("flips", generators=(Generator("flip", count=20), Generator("prototypical", count=20)))


class Told:
    """A run that notes what it is told."""

    def __init__(self) -> None:
        self.probes: list[dict[str, Any]] = []

    def plant(self, probes: list[dict[str, Any]]) -> None:
        self.probes = probes


def labels() -> torch.Tensor:
    return torch.arange(N) % CLASSES


def pictures(channels_last: bool = True) -> list[tuple[Any, int]]:
    rng = np.random.default_rng(0)
    shape = (12, 10, 3) if channels_last else (3, 12, 10)
    return [(rng.integers(0, 256, shape, dtype=np.uint8), row % CLASSES) for row in range(N)]


def test_flips_take_the_place_of_their_sources_in_any_dataset() -> None:
    run = Told()
    plain = TensorDataset(torch.arange(N).float()[:, None, None, None], labels())
    planted = plant(plain, FLIP, run=run)
    assert len(planted) == N
    assert [probe["row"] for probe in run.probes] == list(range(N, N + 20))
    assert all(
        probe["label"] != probe["source_row"] % CLASSES and probe["category"] == "noisy"
        for probe in run.probes
    )
    seen = [planted[position] for position in range(len(planted))]
    rows = [row for *_, row in seen]
    assert sorted(rows) == sorted(set(range(N)) - set(planted.displaced.tolist())) + list(range(N, N + 20))
    told = {probe["row"]: probe for probe in run.probes}
    for value, label, row in seen:
        source = told[row]["source_row"] if row >= N else row
        assert value.item() == source
        assert int(label) == (told[row]["label"] if row >= N else row % CLASSES)
        assert label.dtype == torch.int64


@pytest.mark.parametrize("as_mappings", [False, True])
def test_examples_that_say_their_row_say_it_once(as_mappings) -> None:
    given = labels().tolist()
    plain = [
        {"x": str(row), "label": label} if as_mappings else (str(row), label)
        for row, label in enumerate(given)
    ]
    part = range(100, 160)
    bare = Subset(plain, part)
    of_all = {"num_examples": N, "num_classes": CLASSES}
    wanted = plant(bare, FLIP, rows=list(part), **of_all)
    for dataset in (Indexed(bare), Subset(Indexed(plain), part), Indexed(bare, rows=list(part))):
        planted = plant(dataset, FLIP, **of_all)
        assert [planted[position] for position in range(len(planted))] == [
            wanted[position] for position in range(len(wanted))
        ]
        assert planted.probes == wanted.probes
    assert len(wanted[0]) == 3
    with pytest.raises(InvalidInput, match="is planted"):
        plant(wanted, FLIP, **of_all)


def test_a_subset_without_rows_is_all_that_is_recorded() -> None:
    plain = [(str(row), label) for row, label in enumerate(labels().tolist())]
    assert plant(Subset(plain, range(50, 150)), FLIP).probes[0].row == 100


def test_it_is_the_same_every_time_and_other_slots_displace_others() -> None:
    plain = TensorDataset(torch.zeros(N, 2), labels())
    first, again = plant(plain, FLIP), plant(plain, FLIP)
    assert first.probes == again.probes
    halves = [plant(plain, FLIP, slot=slot, num_slots=2) for slot in (0, 1)]
    assert not set(halves[0].displaced) & set(halves[1].displaced)


@pytest.mark.parametrize("kind", ["last", "first", "tensor", "grey", "pil"])
def test_pictures_are_damaged_and_scrambled_in_their_own_form(kind) -> None:
    def form(pixels: np.ndarray) -> Any:
        return {
            "last": lambda: pixels,
            "first": lambda: np.moveaxis(pixels, -1, 0),
            "tensor": lambda: torch.from_numpy(pixels).permute(2, 0, 1),
            "grey": lambda: pixels[:, :, 0],
            "pil": lambda: Image.fromarray(pixels),
        }[kind]()

    plain = [(form(pixels), label) for pixels, label in pictures()]
    planted = plant(plain, default_suite())
    examples = {row: (picture, label) for picture, label, row in (planted[i] for i in range(len(planted)))}
    for probe in planted.probes:
        picture, label = examples[probe.row]
        before = plain[probe.source_row][0]
        assert type(picture) is type(before)
        assert np.asarray(picture).shape == np.asarray(before).shape
        assert np.asarray(picture).dtype == np.uint8
        same = np.array_equal(np.asarray(picture), np.asarray(before))
        assert same == (probe.generator == "flip")
        assert label == probe.label
    assert {probe.category for probe in planted.probes} == {"noisy", "corrupted", "ood"}


def test_pictures_of_different_sizes() -> None:
    rng = np.random.default_rng(0)
    plain = [(rng.integers(0, 256, (8 + row % 5, 9, 3), dtype=np.uint8), row % CLASSES) for row in range(N)]
    planted = plant(plain)
    examples = {row: picture for picture, _, row in (planted[position] for position in range(N))}
    for probe in planted.probes:
        assert examples[probe.row].shape == plain[probe.source_row][0].shape


def test_texts_and_mappings() -> None:
    rng = np.random.default_rng(0)
    plain = [
        {
            "text": " ".join(f"w{word}" for word in rng.integers(50, size=8)),
            "label": row % CLASSES,
            "id": f"r{row}",
        }
        for row in range(N)
    ]
    with pytest.raises(Unsupported, match="input_key"):
        plant(plain)  # id is a text, too
    planted = plant(plain, input_key="text")
    of_row = {example["row"]: example for example in (planted[i] for i in range(len(planted)))}
    scrambled = [probe for probe in planted.probes if probe.generator == "scramble"]
    assert scrambled
    for probe in scrambled:
        before, after = plain[probe.source_row]["text"], of_row[probe.row]["text"]
        assert before != after
        assert len(before.split()) == len(after.split())
        assert of_row[probe.row]["label"] == probe.label


def test_vectors() -> None:
    plain = TensorDataset(torch.randn(N, 6, generator=torch.Generator().manual_seed(0)), labels())
    planted = plant(plain)
    batch = next(iter(DataLoader(planted, batch_size=N)))
    assert batch[0].dtype == torch.float32
    assert batch[0].shape == (N, 6)


def test_transforms_come_after_planting() -> None:
    def to_float(picture: np.ndarray) -> torch.Tensor:
        assert picture.dtype == np.uint8
        return torch.from_numpy(picture).float() / 255

    planted = plant(pictures(), transform=to_float)
    images, _, rows = next(iter(DataLoader(planted, batch_size=N)))
    assert images.dtype == torch.float32
    assert float(images.max()) <= 1
    assert int(rows.max()) == N + len(planted.probes) - 1


def test_a_part_of_a_recorded_dataset() -> None:
    rows = np.arange(0, 2 * N, 2)
    planted = plant(TensorDataset(torch.zeros(N, 2), labels()), FLIP, rows=rows, num_examples=2 * N)
    assert set(planted.displaced) <= set(rows)
    assert [probe.row for probe in planted.probes] == list(range(2 * N, 2 * N + 20))
    with pytest.raises(InvalidInput, match="num_examples"):
        plant(TensorDataset(torch.zeros(N, 2), labels()), FLIP, rows=rows)


def test_what_cannot_be_damaged_is_said_and_flips_still_work() -> None:
    floats = TensorDataset(torch.zeros(N, 3, 8, 8), labels())
    with pytest.raises(Unsupported, match="transform"):
        plant(floats)
    assert len(plant(floats, FLIP)) == N


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (iter([]), {}, "map-style"),
        ([], {}, "no examples"),
        ([1, 2], {}, "needed"),
        ([("x", "cat")] * N, {}, "class numbers"),
        ([("x", 0)] * N, {"labels": [0]}, "labels"),
        ([("x", row % 2) for row in range(N)], {"suite": "mine"}, "client.suites.get"),
        ([("x", row % 2) for row in range(8)], {}, "too few"),
    ],
)
def test_wrong_arguments(dataset, options, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        plant(dataset, **options)


def test_a_suite_that_plants_nothing() -> None:
    chosen = SuiteDefinition(
        "late", generators=(Generator("prototypical", count=5), Generator("atypical", count=5))
    )
    with pytest.raises(InvalidInput, match="plants nothing"):
        plant(TensorDataset(torch.zeros(N, 2), labels()), chosen)


def test_it_can_be_sent_to_the_workers_of_a_loader() -> None:
    planted = plant(TensorDataset(torch.zeros(N, 2), labels()), FLIP)
    again = pickle.loads(pickle.dumps(planted))  # noqa: S301  # our own
    assert isinstance(again, Indexed)
    assert again[N - 1][2] == planted[N - 1][2]
    loader = DataLoader(planted, batch_size=16, num_workers=1)
    assert sum(len(rows) for *_, rows in loader) == N


def test_the_curves_of_probes_come_out_of_the_users_own_training(recorded) -> None:
    plain = TensorDataset(torch.nn.functional.one_hot(labels(), CLASSES).float(), labels())
    run = recorded.init(labels=labels())
    planted = plant(plain, FLIP, run=run)
    for inputs, given, rows in DataLoader(planted, batch_size=32, shuffle=True):
        run.log(rows=rows, logits=5 * inputs, labels=given)
    run.end_epoch()
    run.finish()
    loss = recorded.curves()[:, 0]
    assert len(loss) == N + 20
    assert np.isnan(loss[planted.displaced]).all()
    assert (loss[N:] > 1).all(), "a wrong label is a high loss"
    trained = np.setdiff1d(np.arange(N), planted.displaced)
    assert (loss[trained] < 0.1).all()
    assert recorded.parcels()[0].coverage == 1.0
