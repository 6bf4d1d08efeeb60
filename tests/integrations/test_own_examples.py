"""Examples of the user's own planted in datasets of the user's own."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from sondage.errors import InvalidInput, InvalidRows, Unsupported
from sondage.probes.own import OwnExamples, OwnSuite
from sondage.probes.suite import Category, Generator, SuiteDefinition
from sondage.torch.indexed import ROW
from sondage.torch.planting import plant

N, CLASSES, OWN = 200, 4, 12
FLIP = Generator("flip", count=20)


def labels() -> torch.Tensor:
    return torch.arange(N) % CLASSES


def own(inputs: Any, **options: Any) -> OwnExamples:
    given = {"labels": np.arange(len(inputs)) % CLASSES, "categories": ["ood"] * len(inputs)} | options
    return OwnExamples(inputs, **given)


class Told:
    """A run that notes what it is told."""

    num_examples = N

    def plant(self, probes: list[dict[str, Any]], *, suite_id: int | None = None) -> None:
        self.probes, self.suite_id = probes, suite_id


def test_they_come_in_addition_and_displace_nobody() -> None:
    run, plain = Told(), TensorDataset(torch.zeros(N, 6), labels())
    planted = plant(plain, own(torch.ones(OWN, 6)).suite("mine", generators=[FLIP]), run=run)
    assert len(planted) == N + OWN
    assert len(planted.displaced) == 20
    made, mine = run.probes[:20], run.probes[20:]
    assert {probe["generator"] for probe in made} == {"flip"}
    assert [probe["row"] for probe in mine] == list(range(N + 20, N + 20 + OWN))
    assert all(probe["source_row"] is None and probe["category"] == "ood" for probe in mine)
    assert [probe["label"] for probe in mine] == [place % CLASSES for place in range(OWN)]
    roles = [probe["role"] for probe in mine]
    assert (roles.count("fit"), roles.count("held_out")) == (6, 6)
    assert run.suite_id is None
    assert not any("example_index" in probe for probe in run.probes)
    seen = {int(row): (value, int(label)) for value, label, row in (planted[i] for i in range(len(planted)))}
    assert sorted(seen) == sorted(set(range(N + 20 + OWN)) - set(planted.displaced.tolist()))
    for probe in mine:
        value, label = seen[probe["row"]]
        assert value.sum() == 6
        assert label == probe["label"]
    again = pickle.loads(pickle.dumps(planted))  # noqa: S301  # our own
    assert torch.equal(again[N + OWN - 1][0], torch.ones(6))


def test_own_examples_alone_of_two_categories() -> None:
    categories = ["ood", "odd"] * 6
    suite = own(torch.ones(OWN, 6), categories=categories).suite("mine", categories=[Category("odd", True)])
    planted = plant(TensorDataset(torch.zeros(N, 6), labels()), suite)
    assert len(planted.displaced) == 0
    assert len(planted) == N + OWN
    assert [probe.category for probe in planted.probes] == categories


@pytest.mark.parametrize("kind", ["last", "first", "tensor", "grey", "pil", "pil grey"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_brought_into_the_form_of_the_train_set(kind: str, channels: int) -> None:
    def form(pixels: np.ndarray) -> Any:
        return {
            "last": lambda: pixels,
            "first": lambda: np.moveaxis(pixels, -1, 0),
            "tensor": lambda: torch.from_numpy(pixels).permute(2, 0, 1),
            "grey": lambda: pixels[:, :, 0],
            "pil": lambda: Image.fromarray(pixels),
            "pil grey": lambda: Image.fromarray(pixels[:, :, 0]),
        }[kind]()

    rng = np.random.default_rng(0)
    plain = [(form(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)), row % CLASSES) for row in range(N)]
    grey = rng.integers(0, 256, (OWN, 12, 10), dtype=np.uint8)
    given = grey if channels == 1 else np.repeat(grey[..., None], 3, axis=3)
    planted = plant(plain, own(given).suite("mine", generators=[FLIP]))
    for place in range(OWN):
        picture = planted[N + place][0]
        sample = plain[0][0]
        assert type(picture) is type(sample) or kind.startswith("pil")
        array = np.asarray(picture)
        assert array.shape == np.asarray(sample).shape
        assert array.dtype == np.uint8
        flat = array if array.ndim == 2 else array.min(axis=2 if array.shape[2] == 3 else 0)
        np.testing.assert_array_equal(flat, grey[place])


def test_texts_and_transforms() -> None:
    plain = [{"text": f"word {row}", "label": row % CLASSES, "idx": row} for row in range(N)]
    suite = own([f"lorem {place}" for place in range(OWN)]).suite("mine", generators=[FLIP])
    planted = plant(plain, suite, transform=str.upper)
    texts = {example[ROW]: example["text"] for example in planted}
    assert [texts[N + 20 + place] for place in range(OWN)] == [f"LOREM {place}" for place in range(OWN)]


def test_inputs_in_the_train_sets_own_form_stay_as_they_are() -> None:
    plain = TensorDataset(torch.zeros(N, 3, 8, 8), labels())
    mine = torch.rand(OWN, 3, 8, 8)
    planted = plant(plain, own(mine).suite("mine", generators=[FLIP]))
    images, *_ = next(iter(DataLoader(planted, batch_size=N + OWN)))
    assert torch.equal(images[N:], mine)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((OWN, 5), np.float32), "vector of 5 numbers"),
        (["x"] * OWN, "give both in one form"),
    ],
)
def test_inputs_that_do_not_fit(inputs: Any, message: str) -> None:
    plain = TensorDataset(torch.zeros(N, 6), labels())
    with pytest.raises(InvalidInput, match=message):
        plant(plain, own(inputs).suite("mine", generators=[FLIP]))
    pictures = [(np.zeros((12, 10, 3), np.uint8), row % CLASSES) for row in range(N)]
    with pytest.raises(InvalidInput, match=r"9 × 12 pixels; the train set's pictures are 10 × 12"):
        plant(pictures, own(np.zeros((OWN, 12, 9, 3), np.uint8)).suite("mine", generators=[FLIP]))
    floats = TensorDataset(torch.zeros(N, 3, 8, 8), labels())
    with pytest.raises(Unsupported, match="transform"):
        plant(floats, own(np.zeros((OWN, 8, 8, 3), np.uint8)).suite("mine", generators=[FLIP]))


def test_labels_are_found_by_name_where_both_sides_have_names() -> None:
    class Named(TensorDataset):
        classes = ("ant", "bee", "cat", "dog")

    plain = Named(torch.zeros(N, 6), labels())
    mine = own(torch.ones(OWN, 6), labels=np.arange(OWN) % 2, class_names=["dog", "cat"])
    suite = mine.suite("mine", generators=[FLIP])
    planted = plant(plain, suite)
    assert [probe.label for probe in planted.probes[20:]] == [3, 2] * 6
    with pytest.raises(InvalidInput, match="'dog', which is none of class_names"):
        plant(plain, suite, class_names=["a", "b", "c", "cat"])
    high = own(torch.ones(OWN, 6), labels=np.arange(OWN)).suite("mine", generators=[FLIP])
    with pytest.raises(InvalidInput, match="has the label 4; there are 4 classes"):
        plant(plain, high)


def test_wrong_examples() -> None:
    with pytest.raises(InvalidInput, match="One of each"):
        own(torch.ones(OWN, 6), labels=[0])
    with pytest.raises(InvalidInput, match="class numbers"):
        own(torch.ones(2, 6), labels=["a", "b"])
    with pytest.raises(InvalidRows, match="imagined"):
        own(torch.ones(2, 6), categories=["ood", "imagined"]).suite("mine", generators=[FLIP])
    with pytest.raises(InvalidRows, match="'a' is there already"):
        own(torch.ones(2, 6), keys=["a", "a"]).suite("mine", generators=[FLIP])
    with pytest.raises(InvalidInput, match="two categories"):
        own(torch.ones(2, 6)).suite("mine")


def test_a_suite_whose_examples_are_not_at_hand() -> None:
    definition = SuiteDefinition(
        "mine", generators=(FLIP,), examples=(("a", "ood"),), examples_fingerprint="f"
    )
    with pytest.raises(InvalidInput, match=r"client\.suites\.load\('mine'\)"):
        plant(TensorDataset(torch.zeros(N, 6), labels()), definition)


def test_the_run_is_told_of_a_suite_on_the_server() -> None:
    run = Told()
    suite = own(torch.ones(OWN, 6)).suite("mine", generators=[FLIP])
    stored = OwnSuite(suite.definition, suite.examples, 7, ["fit"] * 11 + ["held_out"])
    plant(TensorDataset(torch.zeros(N, 6), labels()), stored, run=run)
    assert run.suite_id == 7
    assert [probe["example_index"] for probe in run.probes[20:]] == list(range(OWN))
    assert [probe["role"] for probe in run.probes[20:]] == ["fit"] * 11 + ["held_out"]


def test_a_dataset_of_another_size_than_the_runs_is_refused_at_once() -> None:
    run = Told()
    small = TensorDataset(torch.zeros(N - 50, 6), labels()[50:])
    with pytest.raises(
        InvalidInput, match=r"records 200 examples, and this dataset has 150\. .*num_examples=200"
    ):
        plant(small, run=run)
    with pytest.raises(InvalidInput, match="this dataset has 150"):
        plant(small, run=run, rows=np.arange(150))
    assert not hasattr(run, "probes")
    assert len(plant(small, run=run, rows=np.arange(50, N), num_examples=N)) == 150


def test_the_curves_of_own_examples_come_out_of_the_users_own_training(recorded) -> None:
    plain = TensorDataset(torch.nn.functional.one_hot(labels(), CLASSES).float(), labels())
    run = recorded.init(labels=labels())
    planted = plant(plain, own(torch.zeros(OWN, CLASSES)).suite("mine", generators=[FLIP]), run=run)
    for inputs, given, rows in DataLoader(planted, batch_size=32, shuffle=True):
        run.log(rows=rows, logits=5 * inputs, labels=given)
    run.end_epoch()
    run.finish()
    loss = recorded.curves()[:, 0]
    assert len(loss) == N + 20 + OWN
    np.testing.assert_allclose(loss[N + 20 :], np.log(CLASSES), rtol=1e-5)
    assert recorded.parcels()[0].coverage == 1.0
