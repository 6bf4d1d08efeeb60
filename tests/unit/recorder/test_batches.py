"""Batches through both buffers, NumPy's and PyTorch's: what is refused, what is worked out, what is kept."""

import numpy as np
import pytest
import torch

from sondage.errors import InvalidInput
from sondage.recorder.arrays import ArrayBuffer
from sondage.recorder.channels import channel_dtypes
from sondage.torch import EpochBuffer
from sondage.torch.indexed import Indexed, collate

KINDS = {"numpy": np.asarray, "torch": lambda values: torch.as_tensor(np.asarray(values))}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def buffer_of(kind, num_rows, channels=("loss", "margin", "predicted"), labels=None):
    dtypes = channel_dtypes(channels, 3)
    if kind == "numpy":
        return ArrayBuffer(num_rows, channels=dtypes, labels=labels)
    return EpochBuffer(num_rows, channels=dtypes, labels=None if labels is None else torch.as_tensor(labels))


def log(buffer, kind, rows, **arrays):
    buffer.log(KINDS[kind](rows), **{name: KINDS[kind](values) for name, values in arrays.items()})


LOGITS = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]], np.float32)


@pytest.mark.parametrize(
    ("channels", "rows", "arrays", "field", "match"),
    [
        (("loss",), [[0, 1]], {"loss": [1.0, 2.0]}, "rows", "one dimension"),
        (("loss",), [0, 1], {"loss": [[1.0], [2.0]]}, "loss", "reduction='none'"),
        (("loss",), [0, 1], {"loss": 1.5}, "loss", "reduction='none'"),
        (("loss",), [0.0, 1.0], {"loss": [1.0, 2.0]}, "rows", "integers"),
        (("loss",), [True, False], {"loss": [1.0, 2.0]}, "rows", "integers"),
        (("loss",), [0, 1], {"loss": [1, 2]}, "loss", "floating"),
        (("loss",), [0, 9], {"loss": [1.0, 2.0]}, "rows", "0…3"),
        (("loss",), [0, -1], {"loss": [1.0, 2.0]}, "rows", "0…3"),
        (("loss",), [0, 1], {"loss": [1.0, 2.0], "norm": [1.0, 2.0]}, "norm", "no channel 'norm'"),
        (("loss", "margin"), [0, 1], {"loss": [1.0, 2.0]}, "margin", "logits= and labels="),
        (("loss", "norm"), [0, 1], {"logits": LOGITS, "labels": [0, 1]}, "norm", "norm="),
        (("loss",), [0, 1], {"logits": LOGITS}, "labels", "pass labels="),
        (("loss",), [0, 1], {"logits": LOGITS, "labels": [0.0, np.nan]}, "labels", "integers"),
        (("loss",), [0, 1], {"logits": LOGITS, "labels": [0, 3]}, "labels", "0…2"),
        (("loss",), [0, 1], {"logits": LOGITS, "labels": [0, -100]}, "labels", "Leave out .*ignore_index"),
        (("loss",), [0, 1, 2], {"logits": LOGITS, "labels": [0, 1]}, "rows", "2 examples"),
        (("predicted",), [0, 1], {"predicted": [0.5, 1.0]}, "predicted", "integers"),
        ({"views": "int8"}, [0, 1], {"views": [5, 128]}, "views", "5…128 .* -128…127"),
        ({"views": "int8"}, [0, 1], {"views": [-129, 0]}, "views", "wider"),
        ({"views": "int16"}, [0, 1], {"views": np.array([0, 2**63], np.uint64)}, "views", "wider"),
        (
            {"views": "int8", "loss": ""},
            [0, 1],
            {"views": [300, 5], "logits": LOGITS, "labels": [0, 1]},
            "views",
            "300",
        ),
        (
            ("predicted",),
            [0],
            {"logits": np.zeros((1, 32_769), np.float32), "labels": [0]},
            "logits",
            "32769 .*int32",
        ),
    ],
)
def test_what_is_wrong_is_said_at_once(kind, channels, rows, arrays, field, match):
    with pytest.raises(InvalidInput, match=match) as caught:
        log(buffer_of(kind, 4, channels), kind, rows, **arrays)
    assert caught.value.field == field


def test_a_form_that_was_good_once_is_not_taken_for_another(kind):
    buffer = buffer_of(kind, 4, ("loss",))
    for _ in range(3):
        log(buffer, kind, [0, 1], loss=[1.0, 2.0])
    with pytest.raises(InvalidInput):
        log(buffer, kind, [0, 1], loss=[1, 2])
    with pytest.raises(InvalidInput):
        log(buffer, kind, [0, 1, 2], loss=[1.0, 2.0])
    with pytest.raises(InvalidInput):
        log(buffer, kind, [0, 4], loss=[1.0, 2.0])


def test_given_values_win_over_what_logits_say(kind):
    buffer = buffer_of(kind, 2)
    log(buffer, kind, [1, 0], logits=LOGITS, labels=[0, 1], loss=[7.0, 8.0], predicted=[2, 2])
    channels, count = buffer.collect()
    assert channels["loss"].tolist() == [8, 7]
    assert channels["margin"].tolist() == [3, 1]
    assert channels["predicted"].tolist() == [2, 2]
    assert count.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_unsigned_rows_labels_and_values(kind, dtype):
    rows = np.array([2, 0], dtype)
    views = np.array([5, 6], dtype)
    buffer = buffer_of(kind, 3, {"loss": "", "predicted": "", "views": "int16"}, labels=np.zeros(3, dtype))
    log(buffer, kind, rows, logits=LOGITS, labels=np.array([0, 1], dtype), views=views)
    log(buffer, kind, rows[:1] - 1, logits=LOGITS[:1], views=views[:1])
    channels, count = buffer.collect()
    assert count.tolist() == [1, 1, 1]
    assert channels["predicted"].tolist() == [1, 0, 0]
    assert channels["views"].tolist() == [6, 5, 5]
    assert np.isfinite(channels["loss"]).all()
    top = np.array([np.iinfo(dtype).max], dtype)
    for wrong in ({"rows": top, "labels": rows[1:]}, {"rows": rows[1:], "labels": top}):
        with pytest.raises(InvalidInput, match="were logged"):
            log(buffer, kind, logits=LOGITS[:1], views=views[:1], **wrong)


def test_labels_that_are_not_needed_are_not_looked_at(kind):
    """As on a device, where nothing is looked at that is not worked with."""
    buffer = buffer_of(kind, 2, ("loss",))
    log(buffer, kind, [1, 0], logits=LOGITS, labels=[0, -100], loss=[7.0, 8.0])
    assert buffer.collect()[0]["loss"].tolist() == [8, 7]
    buffer = buffer_of(kind, 2, ("loss", "margin"))
    with pytest.raises(InvalidInput, match="ignore_index"):
        log(buffer, kind, [1, 0], logits=LOGITS, labels=[0, -100], loss=[7.0, 8.0])


def test_batches_of_different_kinds_in_one_epoch(kind):
    buffer = buffer_of(kind, 4, ("loss",))
    log(buffer, kind, [0], loss=np.array([1.0], np.float16))
    log(buffer, kind, [1], loss=np.array([2.0], np.float64))
    log(buffer, kind, [2], logits=np.zeros((1, 2), np.float32), labels=[0])
    log(buffer, kind, [3], logits=np.zeros((1, 4), np.float32), labels=[0])
    np.testing.assert_allclose(buffer.collect()[0]["loss"], [1, 2, np.log(2), np.log(4)], rtol=1e-6)


def test_integers_up_to_the_ends_of_their_type(kind):
    buffer = buffer_of(kind, 3, {"views": "int8", "predicted": "int16", "count": "int8"})
    wide = np.zeros((2, 32_768), np.float32)
    wide[1, 32_767] = 1
    log(buffer, kind, [0, 1], views=[-128, 127], logits=wide, labels=[0, 0])
    channels, _ = buffer.collect()
    assert channels["views"][:2].tolist() == [-128, 127]
    assert channels["predicted"][1] == 32_767


def test_a_narrow_count_stops_at_its_largest_number(kind):
    buffer = buffer_of(kind, 3, {"loss": "float32", "count": "int8"})
    log(buffer, kind, [0] * 200 + [1] * 127, loss=np.ones(327))
    channels, count = buffer.collect()
    assert channels["count"].tolist() == [127, 127, 0]
    assert count.tolist() == [200, 127, 0]
    assert channels["loss"][0] == 1


def test_several_times_in_one_batch_and_across_batches(kind):
    buffer = buffer_of(kind, 3, ("loss", "count"))
    log(buffer, kind, [0, 0, 2], loss=[1.0, 2.0, 5.0])
    log(buffer, kind, [0], loss=[6.0])
    channels, count = buffer.collect()
    np.testing.assert_array_equal(channels["loss"], [3, np.nan, 5])
    assert channels["count"].tolist() == count.tolist() == [3, 0, 1]


def test_an_empty_batch_is_nothing(kind):
    buffer = buffer_of(kind, 3, ("loss",))
    buffer.log(KINDS[kind](np.empty(0, int)), loss=KINDS[kind](np.empty(0)))
    assert buffer.collect()[1].sum() == 0


def test_a_number_of_rows_that_is_not_known_grows(kind):
    buffer = buffer_of(kind, None, ("loss", "views"))
    dtypes = {"loss": "float32", "views": "int16"}
    buffer = ArrayBuffer(None, channels=dtypes) if kind == "numpy" else EpochBuffer(None, channels=dtypes)
    for row in (5, 3000, 2999):
        log(buffer, kind, [row], loss=[float(row)], views=[row])
    channels, count = buffer.collect()
    assert len(channels["loss"]) == 3001
    assert np.flatnonzero(count).tolist() == [5, 2999, 3000]
    assert channels["loss"][[5, 2999, 3000]].tolist() == [5, 2999, 3000]
    assert np.isnan(channels["loss"][[0, 4, 2998]]).all()
    assert channels["views"][[0, 5, 2998, 3000]].tolist() == [-1, 5, -1, 3000]


def test_labels_of_the_run_must_be_classes_of_the_logits(kind):
    buffer = buffer_of(kind, 2, ("loss",), labels=np.array([0, 5]))
    with pytest.raises(InvalidInput, match="0…2"):
        log(buffer, kind, [0, 1], logits=LOGITS)


@pytest.mark.parametrize(
    ("channels", "match"),
    [
        ((), "empty"),
        ("loss", "text"),
        (("Loss",), "'Loss'"),
        (("rows",), "'rows'"),
        ({"loss": "int8"}, "cannot be int8"),
        ({"norm": "float64"}, "cannot be float64"),
    ],
)
def test_channels_that_cannot_be(channels, match):
    with pytest.raises(InvalidInput, match=match):
        channel_dtypes(channels, None)


def test_predicted_gets_the_smallest_integer():
    assert channel_dtypes(("predicted",), 10) == {"predicted": "int16"}
    assert channel_dtypes(("predicted",), 40_000) == {"predicted": "int32"}
    assert channel_dtypes(("predicted",), None) == {"predicted": "int32"}


class Listed:
    """A map-style dataset of a list."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, position):
        return self.items[position]


def test_tuples_mappings_and_objects_carry_their_row():
    assert Indexed(Listed([("x", 1), ("y", 2)]))[1] == ("y", 2, 1)
    assert Indexed(Listed([{"text": "x"}, {"text": "y"}]))[1] == {"text": "y", "row": 1}
    example, row = Indexed(Listed(["x", "y"]))[-1]
    assert (example, row) == ("y", 1)


def test_subsets_know_their_rows():
    whole = Listed([(number,) for number in range(10)])
    inner = torch.utils.data.Subset(whole, [8, 6, 4, 2])
    assert [Indexed(inner)[position][-1] for position in range(4)] == [8, 6, 4, 2]
    assert Indexed(torch.utils.data.Subset(inner, [3, 0]))[1] == (8, 8)
    assert Indexed(Listed([("x",)]), rows=[7])[0] == ("x", 7)


def test_what_is_indexed_keeps_its_rows_and_has_them_once():
    part = torch.utils.data.Subset(Listed([(number,) for number in range(10)]), [8, 6, 4, 2])
    indexed = Indexed(part)
    assert Indexed(indexed)[-1] == (2, 2)
    assert Indexed(indexed).__getitems__(range(4)) == [(8, 8), (6, 6), (4, 4), (2, 2)]
    assert Indexed(torch.utils.data.Subset(indexed, [3, 0])).__getitems__([0, 1]) == [(2, 2), (8, 8)]
    other = Indexed(torch.utils.data.Subset(Indexed(Listed([{"x": number} for number in range(5)])), [4, 1]))
    assert other.with_key("at")[1] == {"x": 1, "at": 1}
    assert other[1] == {"x": 1, "row": 1}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([(1, 2), (3, 4)], [[1, 3], [2, 4]]),
        ([(1,), (3,)], [[1, 3]]),
        ([{"a": 1}, {"a": 3}], {"a": [1, 3]}),
        ([1, 3], [1, 3]),
    ],
)
def test_collate_keeps_rows_out_of_the_inputs(items, expected):
    def listed(batch):
        if isinstance(batch, dict):
            return {name: listed(values) for name, values in batch.items()}
        return [listed(part) for part in batch] if isinstance(batch, list | tuple) else batch.tolist()

    loader = torch.utils.data.DataLoader(Indexed(Listed(items)), batch_size=2, collate_fn=collate())
    inputs, rows = next(iter(loader))
    assert listed(inputs) == expected
    assert rows.tolist() == [0, 1]


def test_what_has_no_rows_is_refused():
    with pytest.raises(InvalidInput, match="iterable"):
        Indexed(iter([1]))
    with pytest.raises(InvalidInput, match="2 rows"):
        Indexed(Listed([(1,)]), rows=[0, 1])
    with pytest.raises(InvalidInput, match="key="):
        _ = Indexed(Listed([{"row": 1}]))[0]


def test_the_dataset_stays_within_reach():
    data = Indexed(Listed([(1,)]))
    assert data.items == [(1,)]
    with pytest.raises(AttributeError):
        _ = data.nothing
