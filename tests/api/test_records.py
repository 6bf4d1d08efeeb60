"""Records that were kept elsewhere, by every kind of file: what comes in stands in the curves, or nothing does."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from app.recording import records
from tests.api.recorders import ARROW, CHANNELS, NUM, Recorder, arrow_stream, recorder
from tests.api.worlds import World

PARQUET, CSV, NPY = ({"Content-Type": kind} for kind in (records.PARQUET, records.CSV, records.NPY))
JSON_LINES = {"Content-Type": "application/x-ndjson"}


def parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def csv(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pa.csv.write_csv(pa.table(columns), sink)
    return sink.getvalue()


def npy(matrix: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, matrix)
    return sink.getvalue()


def send(run: Recorder, body: bytes, headers: dict[str, str], status: int = 200, **query: Any) -> Any:
    response = run.world.client.post(f"{run.url}/records", content=body, headers=headers, params=query)
    assert response.status_code == status, response.text
    return response.json()


def some_records() -> dict[str, Any]:
    """Two epochs of seven examples in any order, without row 3 in epoch 1."""
    pairs = [(row, epoch) for row in (6, 0, 1, 2, 3, 4, 5) for epoch in (1, 0) if (row, epoch) != (3, 1)]
    return {
        "key": [f"k{row}" for row, _ in pairs],
        "epoch": [epoch for _, epoch in pairs],
        "loss": [row + epoch / 4 for row, epoch in pairs],
        "predicted": [row % 2 for row, _ in pairs],
    }


@pytest.mark.parametrize(
    ("write", "headers"),
    [(parquet, PARQUET), (csv, CSV), (arrow_stream, ARROW)],
    ids=["parquet", "csv", "arrow"],
)
def test_tables(empty: World, write: Any, headers: dict[str, str]) -> None:
    run = recorder(empty)
    found = send(run, write(some_records()), headers)
    assert found == {"num_records": 13, "epochs_written": [0, 1], "epochs_closed": [0, 1]}
    assert run.curves(rows=[6, 3, 7]) == [[6.0, 6.25], [3.0, None], [None, None]]
    assert run.curves("predicted", rows=[5, 3]) == [[1.0, 1.0], [1.0, None]]
    assert run.epochs()[1] == {"counts": {"loss": 6, "predicted": 6}, "coverage": 0.6}
    assert run.post("finish")["epochs_done"] == 2


def test_rows_in_place_of_keys(empty: World) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    send(run, parquet({"row": [9, 0], "epoch": [0, 0], "loss": [0.5, float("inf")]}), PARQUET)
    assert run.curves(rows=[9, 1]) == [[0.5], [None]]


def test_more_epochs_are_added_behind(empty: World) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    for epoch in range(3):
        send(run, csv({"row": [0, 1], "epoch": [epoch] * 2, "loss": [1.0, 2.0]}), CSV)
    assert run.recording()["closed_epochs"] == [0, 1, 2]
    problem = send(run, csv({"row": [0], "epoch": [1], "loss": [1.0]}), CSV, status=409)
    assert problem["code"] == "epoch_closed"


def test_matrices_close_an_epoch_with_its_last_channel(empty: World) -> None:
    run = recorder(empty)
    loss = np.arange(NUM * 3, dtype=np.float64).reshape(NUM, 3)
    assert send(run, npy(loss), NPY, channel="loss")["epochs_closed"] == []
    predicted = np.ones((NUM, 3), np.int64)
    assert send(run, npy(predicted), NPY, channel="predicted")["epochs_closed"] == [0, 1, 2]
    np.testing.assert_array_equal(run.curves(), loss)
    more = send(run, npy(loss[:, :1]), NPY, channel="loss", first_epoch=3)
    assert more["epochs_written"] == [3]


@pytest.mark.parametrize(
    ("matrix", "channel"),
    [
        (np.zeros((NUM - 1, 2)), "loss"),
        (np.zeros(NUM), "loss"),
        (np.zeros((NUM, 0)), "loss"),
        (np.zeros((NUM, 1), "U1"), "loss"),
        (np.zeros((NUM, 1)), "margin"),
        (np.full((NUM, 1), 40_000), "predicted"),
        (np.full((NUM, 1), 0.5), "predicted"),
    ],
)
def test_wrong_matrices(empty: World, matrix: np.ndarray, channel: str) -> None:
    run = recorder(empty)
    send(run, npy(matrix), NPY, status=422, channel=channel)
    assert run.recording()["closed_epochs"] == []


def test_a_matrix_that_claims_to_be_huge(empty: World) -> None:
    run = recorder(empty)
    honest = npy(np.zeros((NUM, 2)))
    lying = honest.replace(b"(10, 2)", b"(10, 9)", 1)
    assert lying != honest
    send(run, lying, NPY, status=422, channel="loss")
    send(run, b"\x93NUMPY\x01\x00", NPY, status=422, channel="loss")


def cartography(epochs: dict[int, dict[str, list[float]]], gold: dict[str, Any]) -> bytes:
    lines = [
        {"guid": key, f"logits_epoch_{epoch}": logits, "gold": gold[key]}
        for epoch, of_keys in epochs.items()
        for key, logits in of_keys.items()
    ]
    return "\n".join(json.dumps(line) for line in lines).encode()


def test_training_dynamics(empty: World) -> None:
    run = recorder(empty, channels=CHANNELS | {"margin": "float16"})
    logits = {"k1": [0.0, 0.0], "k4": [3.0, 1.0]}
    found = send(run, cartography({2: logits, 3: logits}, {"k1": 1, "k4": 0}), JSON_LINES)
    assert found["epochs_closed"] == [2, 3]
    loss = run.curves(rows=[1, 4, 0])
    np.testing.assert_allclose([loss[0][0], loss[1][1]], [np.log(2), np.log1p(np.exp(-2))], rtol=1e-6)  # type: ignore[list-item]
    assert loss[2] == [None, None]
    assert run.curves("margin", rows=[4]) == [[2.0, 2.0]]
    assert run.curves("predicted", rows=[4]) == [[0.0, 0.0]]


def test_gold_may_be_names_of_classes(empty: World) -> None:
    run = recorder(empty)
    send(run, cartography({0: {"k1": [0.0, 1.0], "k4": [3.0, 1.0]}}, {"k1": "dog", "k4": "cat"}), JSON_LINES)
    assert run.recording()["closed_epochs"] == [0]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (cartography({0: {"k1": [0.0, 1.0]}}, {"k1": 0}), "label_differs"),
        (cartography({0: {"k99": [0.0, 1.0]}}, {"k99": 0}), "unknown_key"),
        (b'{"guid": "k1"}', "malformed"),
        (cartography({0: {"k1": [0.0, 1.0]}}, {"k1": 1}) + b"\n" + cartography({0: {"k1": [0.0, 1.0]}}, {"k1": 1}),
         "repeated"),
    ],
)  # fmt: skip
def test_wrong_training_dynamics(empty: World, body: bytes, code: str) -> None:
    run = recorder(empty)
    assert send(run, body, JSON_LINES, status=422)["errors"][0]["code"] == code
    assert run.recording()["closed_epochs"] == []


@pytest.mark.parametrize(
    ("columns", "index", "code"),
    [
        ({"key": ["k0", "k99"], "epoch": [0, 0], "loss": [1.0, 1.0]}, 1, "unknown_key"),
        ({"row": [0, NUM], "epoch": [0, 0], "loss": [1.0, 1.0]}, 1, "row_range"),
        ({"row": [0, 2_147_483_646], "epoch": [0, 0], "loss": [1.0, 1.0]}, 1, "row_range"),
        ({"row": [-1, 0], "epoch": [0, 0], "loss": [1.0, 1.0]}, 0, "row_range"),
        ({"row": [0, 1], "epoch": [0, -1], "loss": [1.0, 1.0]}, 1, "epoch_range"),
        ({"row": [0, 0], "epoch": [0, 0], "loss": [1.0, 1.0]}, 1, "repeated"),
        ({"row": [0, 1], "epoch": [0, None], "loss": [1.0, 1.0]}, 1, "missing"),
    ],
)
def test_wrong_records(empty: World, columns: dict[str, Any], index: int, code: str) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    problem = send(run, parquet(columns), PARQUET, status=422)
    assert (problem["errors"][0]["index"], problem["errors"][0]["code"]) == (index, code)
    assert run.recording()["closed_epochs"] == []


@pytest.mark.parametrize(
    "columns",
    [
        {"epoch": [0], "loss": [1.0]},
        {"row": [0], "key": ["k0"], "epoch": [0], "loss": [1.0]},
        {"row": [0], "loss": [1.0]},
        {"row": [0], "epoch": [0]},
        {"row": [0], "epoch": [0], "loss": ["much"]},
        {"row": [0.5], "epoch": [0], "loss": [1.0]},
        {"row": [0], "epoch": [0], "loss": [1.0], "text": ["private"]},
        {
            "row": pa.array([], pa.int64()),
            "epoch": pa.array([], pa.int64()),
            "loss": pa.array([], pa.float64()),
        },
    ],
)
def test_wrong_columns(empty: World, columns: dict[str, Any]) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    send(run, parquet(columns), PARQUET, status=422)


def test_files_that_are_none(empty: World) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    for headers in (PARQUET, CSV, ARROW, NPY, JSON_LINES):
        send(run, b"\xff\xfe nothing of the kind", headers, status=422, channel="loss")
        send(run, b"", headers, status=422, channel="loss")
    send(run, b"x", {"Content-Type": "application/json"}, status=415)
    assert list((empty.settings.data_dir / "uploads").iterdir()) == []


def test_too_much_at_once(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    one, three = np.zeros((NUM, 1), np.float32), np.zeros((NUM, 3), np.float32)
    monkeypatch.setattr(records, "MAX_BYTES", len(npy(three)))
    send(run, npy(three), NPY, channel="loss")
    monkeypatch.setattr(records, "MAX_BYTES", 4 * NUM - 1)
    monkeypatch.setattr("app.recording.bodies._check_size", lambda path, max_bytes: None)
    assert (
        "Send fewer epochs" in send(run, npy(one), NPY, status=422, channel="loss", first_epoch=3)["detail"]
    )


def test_records_far_beyond_the_epochs(empty: World) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    columns = {"row": [0, 0], "epoch": [0, 999_999], "loss": [0.5, 0.25]}
    assert "num_epochs" in send(run, parquet(columns), PARQUET, status=422)["detail"]
    assert run.epochs() == {}


def test_several_ranks_send_parts_and_no_records(empty: World) -> None:
    run = recorder(empty, channels={"loss": "float32"}, world_size=2)
    send(run, parquet({"row": [0], "epoch": [0], "loss": [1.0]}), PARQUET, status=409)


def test_the_same_request_takes_effect_once(empty: World) -> None:
    run = recorder(empty, channels={"loss": "float32"})
    body = parquet({"row": [0], "epoch": [0], "loss": [1.0]})
    headers = {**PARQUET, "Idempotency-Key": "abc"}
    assert send(run, body, headers) == send(run, body, headers)
    other = parquet({"row": [0], "epoch": [1], "loss": [1.0]})
    assert send(run, other, headers, status=409)["code"] == "conflict"
