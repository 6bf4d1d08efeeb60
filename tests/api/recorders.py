"""What a recorder does, by hand: datasets as Arrow streams, runs, parts of blocks, closed epochs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tests.api.worlds import World

ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
OCTETS = {"Content-Type": "application/octet-stream"}
CHANNELS = {"loss": "float32", "predicted": "int16"}
NUM = 10


def arrow_stream(columns: dict[str, Any], class_names: Sequence[str] | None = None) -> bytes:
    table = pa.table(columns)
    if class_names is not None:
        table = table.replace_schema_metadata({"class_names": json.dumps(class_names)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return sink.getvalue()


def some_dataset(world: World, num: int = NUM, name: str = "mine") -> dict[str, Any]:
    """Labels 0, 1, 0, …; keys k0…"""
    columns = {"key": [f"k{at}" for at in range(num)], "label": pa.array(np.arange(num) % 2, pa.int32())}
    response = world.client.post(
        world.url + "/datasets/recorded",
        params={"name": name},
        content=arrow_stream(columns, ["cat", "dog"]),
        headers=ARROW,
    )
    assert response.status_code in (200, 201), response.text
    found: dict[str, Any] = response.json()
    return found


@dataclass
class Recorder:
    """One run of a world."""

    world: World
    id: int
    body: dict[str, Any] = field(repr=False)

    @property
    def url(self) -> str:
        return f"{self.world.url}/runs/{self.id}"

    def put(
        self, values: np.ndarray, channel: str, epoch: int, shard: int = 0, rank: int = 0, **query: Any
    ) -> Any:
        content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        return self.world.client.put(
            f"{self.url}/curves/{channel}/{epoch}/{shard}",
            params={"rank": rank, **query},
            content=content,
            headers=OCTETS,
        )

    def put_all(
        self, epoch: int, rank: int = 0, rows: Sequence[int] | None = None, offset: float = 0.0
    ) -> None:
        """All channels of an epoch; only some rows were seen when `rows` are given."""
        num = self.body["num_rows"]
        loss, predicted = losses(num, epoch) + np.float32(offset), np.zeros(num, np.int16)
        if rows is not None:
            unseen = np.setdiff1d(np.arange(num), rows)
            loss[unseen], predicted[unseen] = np.nan, -1
        for start in range(0, num, 65_536):
            for channel, values in (("loss", loss), ("predicted", predicted)):
                response = self.put(values[start : start + 65_536], channel, epoch, start // 65_536, rank)
                assert response.status_code == 200, response.text

    def close(self, epoch: int, status: int = 200, **body: Any) -> Any:
        response = self.world.client.post(f"{self.url}/epochs/{epoch}", json=body)
        assert response.status_code == status, response.text
        return response.json()

    def post(self, what: str, status: int = 200, **body: Any) -> Any:
        response = self.world.client.post(f"{self.url}/{what}", json=body)
        assert response.status_code == status, response.text
        return response.json()

    def curves(self, channel: str = "loss", rows: Sequence[int] | None = None) -> list[list[float | None]]:
        wanted = range(self.body["num_rows"]) if rows is None else rows
        query = ",".join(map(str, wanted))
        found = self.world.get(f"/runs/{self.id}/curves/{channel}?rows={query}")
        return [curve["values"] for curve in found["curves"]]

    def epochs(self) -> dict[int, dict[str, Any]]:
        return {one["epoch"]: one["metrics"] for one in self.world.get(f"/runs/{self.id}/epochs")["items"]}

    def recording(self) -> Any:
        return self.world.get(f"/runs/{self.id}/recording")


def losses(num: int, epoch: int) -> np.ndarray:
    return (np.arange(num) + epoch / 4).astype(np.float32)


def begin(world: World, status: int = 201, **options: Any) -> Any:
    response = world.client.post(world.url + "/runs/recorded", json=options)
    assert response.status_code == status, response.text
    return response.json()


def recorder(world: World, name: str = "r", num: int = NUM, **options: Any) -> Recorder:
    dataset = some_dataset(world, num)
    body = {"name": name, "dataset_id": dataset["id"], "num_rows": num, "channels": CHANNELS, **options}
    return Recorder(world, begin(world, **body)["run"]["id"], body)
