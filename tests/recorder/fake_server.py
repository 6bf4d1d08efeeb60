"""A small HTTP server that speaks what a recorder needs, and fails on demand. It keeps all that it was sent."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa

NOW = "2026-11-21T00:00:00Z"
PROJECT = "/api/v1/projects/default"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass
class RecordedRun:
    """A run as the server keeps it: parts by (epoch, rank, channel, shard), and closed epochs with their metrics."""

    id: int
    body: dict[str, Any]
    state: str = "running"
    parts: dict[tuple[int, int, str, int], np.ndarray] = field(default_factory=dict)
    closed_by: dict[int, dict[int, dict[str, Any]]] = field(default_factory=dict)
    closed: dict[int, dict[str, Any]] = field(default_factory=dict)
    probes: list[dict[str, Any]] = field(default_factory=list)

    def curves(self, channel: str) -> np.ndarray:
        """All closed epochs, shape (rows, epochs); of each row the lowest rank's value."""
        return np.stack([self._epoch(channel, epoch) for epoch in sorted(self.closed)], axis=1)

    def _epoch(self, channel: str, epoch: int) -> np.ndarray:
        merged = None
        for rank in sorted(self.closed_by[epoch]):
            shards = sorted(key for key in self.parts if key[:3] == (epoch, rank, channel))
            values = np.concatenate([self.parts[key] for key in shards])
            if merged is None:
                merged = values.copy()
            unseen = np.isnan(merged) if merged.dtype.kind == "f" else merged == -1
            merged[unseen] = values[unseen]
        assert merged is not None
        return merged

    def waiting_for(self, epoch: int) -> list[int]:
        return sorted(set(range(self.body["world_size"])) - set(self.closed_by.get(epoch, ())))


class FakeServer:
    """`fault` gets every request before it is done; what it returns or raises is the answer in its place."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.datasets: dict[str, dict[str, Any]] = {}
        self.tables: dict[str, pa.Table] = {}
        self.runs: dict[int, RecordedRun] = {}
        self.fault: Callable[[Request], tuple[int, dict[str, Any]] | None] = lambda request: None
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._http: ThreadingHTTPServer | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> FakeServer:
        """On the same port each time."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                server._answer(self)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                pass  # clients that hang up are part of the tests

            def process_request(self, connection: Any, address: Any) -> None:
                server._connections.append(connection)
                super().process_request(connection, address)

        self._http = Quiet(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    @property
    def run(self) -> RecordedRun:
        return next(iter(self.runs.values()))

    def closed_epochs(self) -> int:
        return len(self.run.closed) if self.runs else 0

    def wait_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.02)

    # ---- answers

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, parts.path, query, headers, body)
        try:
            status, answer = self.fault(request) or (0, {})
        except ConnectionAbortedError:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        with self._lock:
            self.requests.append(request)
            if not status:
                status, answer = self._done(request)
        content = json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("Sondage-Protocol", "1")
        handler.end_headers()
        handler.wfile.write(content)

    def _done(self, request: Request) -> tuple[int, dict[str, Any]]:
        path = request.path.removeprefix(PROJECT)
        for pattern, method, answer in self._routes():
            if request.method == method and (match := re.fullmatch(pattern, path)):
                return answer(request, *match.groups())
        return problem(404, "not_found", f"no route {path}")

    def _routes(self) -> Iterator[tuple[str, str, Any]]:
        yield r"/datasets/recorded", "POST", self._make_dataset
        yield r"/datasets", "GET", self._list_datasets
        yield r"/datasets/(\d+)/keys/digest", "GET", self._digest
        yield r"/runs/recorded", "POST", self._begin
        yield r"/runs/(\d+)/curves/(\w+)/(\d+)/(\d+)", "PUT", self._put
        yield r"/runs/(\d+)/epochs/(\d+)", "POST", self._close
        yield r"/runs", "GET", self._list_runs
        yield r"/runs/(\d+)/probes", "PUT", self._plant
        yield r"/runs/(\d+)/finish", "POST", self._finish
        yield r"/runs/(\d+)/recording", "GET", lambda _, number: (200, self._recorded(self.runs[int(number)]))

    def _make_dataset(self, request: Request) -> tuple[int, dict[str, Any]]:
        table = pa.ipc.open_stream(request.body).read_all()
        name = request.query["name"]
        if name in self.tables:
            if not self.tables[name].equals(table):
                return problem(409, "conflict", f"dataset {name} has other content")
        else:
            names = json.loads((table.schema.metadata or {}).get(b"class_names", b"null"))
            self.add_dataset(name, table.num_rows, names or ["0", "1"])
            self.tables[name] = table
        return 201, self.datasets[name]

    def add_dataset(self, name: str, num_examples: int, class_names: list[str]) -> None:
        self.datasets[name] = {
            "id": len(self.datasets) + 1, "name": name, "version": 1, "fingerprint": "f", "modality": "none",
            "num_examples": num_examples, "class_names": class_names, "splits": {"train": num_examples},
            "source": {}, "created_at": NOW,
        }  # fmt: skip

    def _list_datasets(self, request: Request) -> tuple[int, dict[str, Any]]:
        found = [one for name, one in self.datasets.items() if name == request.query.get("name")]
        return 200, {"items": found, "next_cursor": None}

    def _digest(self, request: Request, number: str) -> tuple[int, dict[str, Any]]:
        """Keys are positions, but of a dataset that was sent with others."""
        one = next(one for one in self.datasets.values() if one["id"] == int(number))
        table = self.tables.get(one["name"])
        keys = range(one["num_examples"]) if table is None else table["key"].to_pylist()
        lines = "".join(f"{key}\n" for key in keys).encode()
        return 200, {"num_keys": one["num_examples"], "sha256": hashlib.sha256(lines).hexdigest()}

    def _begin(self, request: Request) -> tuple[int, dict[str, Any]]:
        body = json.loads(request.body)
        for run in self.runs.values():
            if run.body["name"] == body["name"]:
                same = all(run.body[name] == body[name] for name in ("dataset_id", "num_rows", "channels"))
                if not same or not (body["resume"] or run.body["session"] == body["session"]):
                    return problem(409, "run_differs", f"There is a run {body['name']!r} already.")
                run.state, run.body = "running", body
                return 200, self._recorded(run)
        run = RecordedRun(len(self.runs) + 1, body)
        self.runs[run.id] = run
        return 201, self._recorded(run)

    def _list_runs(self, request: Request) -> tuple[int, dict[str, Any]]:
        named = [run for run in self.runs.values() if run.body["name"] == request.query.get("name")]
        return 200, {"items": [self._recorded(run)["run"] for run in named], "next_cursor": None}

    def _plant(self, request: Request, run_id: str) -> tuple[int, dict[str, Any]]:
        run = self.runs[int(run_id)]
        if run.closed:
            return problem(409, "conflict", "epochs are closed")
        run.probes = json.loads(request.body)
        return 200, {"run_id": run.id, "categories": {}}

    def _recorded(self, run: RecordedRun) -> dict[str, Any]:
        body = run.body
        done = len(run.closed)
        return {
            "run": {
                "id": run.id, "name": body["name"], "dataset_id": body["dataset_id"], "suite_id": None, "recipe": {},
                "protocol": body["protocol"], "seed": 0, "slot": 0, "num_slots": 1,
                "num_epochs": body["num_epochs"] or 1, "num_rows": body["num_rows"], "epochs_done": done,
                "state": run.state, "job_id": None, "created_at": NOW, "finished_at": None,
            },
            "next_epoch": done, "closed_epochs": sorted(run.closed), "channels": body["channels"],
            "world_size": body["world_size"],
            "waiting_for": {e: run.waiting_for(e) for e in run.closed_by if e not in run.closed},
        }  # fmt: skip

    def _put(self, request: Request, run_id: str, channel: str, epoch: str, shard: str) -> Any:
        run, rank = self.runs[int(run_id)], int(request.query["rank"])
        if run.body["channels"].get(channel) != request.query["dtype"]:
            return problem(
                422, "invalid_input", f"channel {channel} was not announced as {request.query['dtype']}"
            )
        values = np.frombuffer(request.body, request.query["dtype"])
        if len(values) != int(request.query["num_rows"]):
            return problem(422, "invalid_input", "the size is wrong")
        key = (int(epoch), rank, channel, int(shard))
        if int(epoch) in run.closed:
            same = key in run.parts and run.parts[key].tobytes() == request.body
            if not same:
                return problem(409, "epoch_closed", f"epoch {epoch} is closed")
        run.parts[key] = values
        said = {"channel": channel, "epoch": int(epoch), "shard": int(shard), "rank": rank, "repeated": False}
        return 200, said

    def _close(self, request: Request, run_id: str, epoch: str) -> tuple[int, dict[str, Any]]:
        run, body, number = self.runs[int(run_id)], json.loads(request.body), int(epoch)
        needed = [c for c in run.body["channels"] if c not in ("label_odds", "distance")]
        missing = [c for c in needed if (number, body["rank"], c, 0) not in run.parts]
        if missing:
            return problem(422, "incomplete_epoch", f"{missing} are missing")
        run.closed_by.setdefault(number, {})[body["rank"]] = body
        waiting = run.waiting_for(number)
        if not waiting or body["force"]:
            run.closed.setdefault(number, body)
        return 200, {"epoch": number, "closed": number in run.closed, "waiting_for": waiting}

    def _finish(self, request: Request, run_id: str) -> tuple[int, dict[str, Any]]:
        run, body = self.runs[int(run_id)], json.loads(request.body)
        waiting = [epoch for epoch in run.closed_by if epoch not in run.closed]
        if waiting and not body["force"]:
            return problem(409, "epoch_open", f"epochs {waiting} wait for ranks")
        for epoch in waiting:
            run.closed[epoch] = next(iter(run.closed_by[epoch].values()))
        run.state = body["state"]
        return 200, self._recorded(run)["run"]


def problem(status: int, code: str, detail: str) -> tuple[int, dict[str, Any]]:
    said = {"title": code, "status": status, "code": code, "detail": detail, "request_id": "r"}
    return status, said


@contextmanager
def running() -> Iterator[FakeServer]:
    server = FakeServer().start()
    try:
        yield server
    finally:
        server.stop()
