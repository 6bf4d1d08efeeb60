"""What the server needs to take 65,536 losses: one PUT of a block, beside a bare request of the same bytes.

    python -m benchmarks.ingest [--quick] [--check]

A real server (uvicorn, the embedded Postgres, everything durable) in a process of its own. Requests take turns: a block
of random float32 to the recording route (`block`), the same with a key, in the same process and on the same database
(`keyed`), a block by a rank of two, and one as gzip; and two references with the very same bytes, within the same run.
`bare` reads them and answers at once: what HTTP takes. `written` writes them by one statement into the same kind of
table and commits: what the database and its disk take, whoever calls them.

The time is the server's, from the arrival of a request to the end of its answer; `processor` is the processor time of
the server's process in it (all its threads, not those of Postgres), which a busy machine changes least.

Bar: the median of a block is under 5 ms on an open server. Beside it stand its ratios to both references.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import psycopg
import pyarrow as pa
from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from store.engine import Database

BAR_P50_MS = 5.0
ROWS = 65_536
WARM_UP = 20
PROJECT = "/api/v1/projects/default"
KEYED = "/keyed"
"""Before the address of a route: the application that asks for keys."""
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
Send = Callable[[httpx.Client, int], httpx.Response]
Times = tuple[float, float]
"""Seconds on the wall, and of the process's processor time."""


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="sdg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        times = _measure(Path(folder), 100 if arguments.quick else 900)
    figures = {name: _quantiles(values) for name, values in times.items()}
    bare, written = (figures[name]["p50_ms"] for name in ("bare", "written"))
    print(f"{'':<8} {'p50':>9} {'p95':>9} {'processor':>10}  × bare  × written")
    for name, figure in figures.items():
        middle = figure["p50_ms"]
        print(
            f"{name:<8} {middle:>6.2f} ms {figure['p95_ms']:>6.2f} ms {figure['processor_ms']:>7.2f} ms  "
            f"{middle / bare:>6.1f}  {middle / written:>8.2f}"
        )
    missed = [name for name in ("block",) if figures[name]["p50_ms"] >= BAR_P50_MS]
    for name in missed:
        print(f"missed: {name}: {figures[name]['p50_ms']:.2f} ms, bar {BAR_P50_MS:.0f} ms")
    print(json.dumps({"benchmark": "ingest", "rows": ROWS, "figures": figures, "missed": missed}))
    return 1 if arguments.check and missed else 0


def _quantiles(values: list[Times]) -> dict[str, float]:
    wall, processor = np.array(values).T * 1e3
    low, middle, high = np.quantile(wall, [0.05, 0.5, 0.95])
    found = {"p05_ms": low, "p50_ms": middle, "p95_ms": high, "processor_ms": np.median(processor)}
    return {name: round(float(value), 3) for name, value in found.items()}


def _measure(folder: Path, repeats: int) -> dict[str, list[Times]]:
    """What the server took, by kind of request, in turn."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(folder, theirs))
    server.start()
    try:
        port, secret = ours.recv()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            kinds = _kinds(client, secret)
            for number in range(-WARM_UP, repeats):
                for send in kinds.values():
                    send(client, number + WARM_UP).raise_for_status()
            seconds = client.get("/timings").json()
        return {name: seconds[place :: len(kinds)][-repeats:] for place, name in enumerate(kinds)}
    finally:
        ours.send("stop")
        server.join(30)


def _kinds(client: httpx.Client, secret: str) -> dict[str, Send]:
    dataset = _dataset(client)
    alone, of_two = _run(client, dataset, "alone", 1), _run(client, dataset, "ranks", 2)
    behind_keys = _run(client, dataset, "keyed", 1)
    rng = np.random.default_rng(0)
    blocks = [rng.exponential(size=ROWS).astype("<f4").tobytes() for _ in range(8)]
    packed = [gzip.compress(block, 1) for block in blocks]

    def bare(client: httpx.Client, number: int) -> httpx.Response:
        return client.put("/bare", content=blocks[number % 8])

    def written(client: httpx.Client, number: int) -> httpx.Response:
        return client.put("/written", content=blocks[number % 8])

    def block(client: httpx.Client, number: int) -> httpx.Response:
        return client.put(f"{PROJECT}/runs/{alone}/curves/loss/{number}/0", content=blocks[number % 8])

    def keyed(client: httpx.Client, number: int) -> httpx.Response:
        return client.put(
            f"{KEYED}{PROJECT}/runs/{behind_keys}/curves/loss/{number}/0",
            content=blocks[number % 8],
            headers={"Authorization": f"Bearer {secret}"},
        )

    def part(client: httpx.Client, number: int) -> httpx.Response:
        return client.put(
            f"{PROJECT}/runs/{of_two}/curves/loss/{number}/0?rank=1", content=blocks[number % 8]
        )

    def gzipped(client: httpx.Client, number: int) -> httpx.Response:
        path = f"{PROJECT}/runs/{alone}/curves/margin/{number}/0"
        return client.put(path, content=packed[number % 8], headers={"Content-Encoding": "gzip"})

    return {"bare": bare, "written": written, "block": block, "keyed": keyed, "part": part, "gzip": gzipped}


def _dataset(client: httpx.Client) -> int:
    table = pa.table({"label": pa.array(np.arange(ROWS) % 10, pa.int32())})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    url = f"{PROJECT}/datasets/recorded?name=random"
    answer = client.post(url, content=sink.getvalue(), headers=ARROW).raise_for_status()
    return int(answer.json()["id"])


def _run(client: httpx.Client, dataset: int, name: str, world_size: int) -> int:
    body = {
        "name": name,
        "dataset_id": dataset,
        "num_rows": ROWS,
        "channels": {"loss": "float32", "margin": "float32"},
        "world_size": world_size,
    }
    answer = client.post(f"{PROJECT}/runs/recorded", json=body).raise_for_status()
    return int(answer.json()["run"]["id"])


# ---- the server's process


class Timed:
    """Around the application, open and with keys: what each PUT took, and the two routes to compare with."""

    def __init__(self, app: Any, keyed: Any) -> None:
        self.app = app
        self.keyed = keyed
        self.times: list[Times] = []
        self.connection: psycopg.Connection[Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/timings":
            await _answer(send, self.times)
            return
        began, used = time.perf_counter(), time.process_time()
        if scope["type"] == "http" and scope["path"] in ("/bare", "/written"):
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            if scope["path"] == "/written":
                await run_in_threadpool(self._write, body)
            await _answer(send, {})
        elif scope["type"] == "http" and scope["path"].startswith(KEYED):
            await self.keyed(scope | {"path": scope["path"].removeprefix(KEYED)}, receive, send)
        else:
            await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["method"] == "PUT":
            self.times.append((time.perf_counter() - began, time.process_time() - used))

    def _write(self, body: bytes) -> None:
        """One statement, which is its own transaction."""
        if self.connection is None:
            database = self.app.state.server.database
            self.connection = psycopg.connect(database.conninfo, autocommit=True)
            self.connection.execute(
                "CREATE TABLE written (number bigserial PRIMARY KEY, data bytea NOT NULL)"
            )
            self.connection.execute("ALTER TABLE written ALTER data SET STORAGE EXTERNAL")
        self.connection.execute("INSERT INTO written (data) VALUES (%b)", [body])


async def _answer(send: Any, value: object) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _serve(folder: Path, pipe: Connection) -> None:
    import threading

    import uvicorn

    from app.main import open_prepared
    from app.settings import AppSettings

    for name in [name for name in os.environ if name.startswith("SONDAGE_")]:
        del os.environ[name]
    database = open_prepared(AppSettings(data_dir=folder))
    app, secret = _applications(folder, database)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))

    def talk() -> None:
        while not server.started:
            time.sleep(0.02)
        pipe.send((server.servers[0].sockets[0].getsockname()[1], secret))
        pipe.recv()
        server.should_exit = True

    threading.Thread(target=talk, daemon=True).start()
    try:
        server.run()
    finally:
        database.close()


def _applications(folder: Path, database: Database) -> tuple[Timed, str]:
    """Both on one database, and a key."""
    from app.columns import Columns
    from app.deps import Server
    from app.main import create_app
    from app.payloads import Payloads
    from app.settings import AppSettings
    from store import keys
    from store.engine import transaction

    asking = AppSettings(data_dir=folder, allowed_hosts=["ingest.example"])
    keyed = create_app(asking, database)
    # Only the outer application is told of the start of the server.
    keyed.state.server = Server(asking, database, Columns(max_bytes=1 << 20), Payloads(folder))
    with transaction(database.engine) as session:
        secret = keys.create(session, name="ingest", scopes=["record"]).secret
    return Timed(create_app(AppSettings(data_dir=folder), database), keyed), secret


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 requests of each kind in place of 900")
    parser.add_argument("--check", action="store_true", help="exit 1 when the bar is missed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
