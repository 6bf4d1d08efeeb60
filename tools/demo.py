"""`make demo`: finds wrong labels among handwritten digits, says how many, and shows them.

The digits ship with scikit-learn. 8 % of their labels are set wrong, with a seed; the truth is kept aside and used for
nothing but the figures at the end. Everything goes through the server, as it would for your own data.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sondage.client import Client
from sondage.errors import SondageError, Unavailable
from sondage.wire import Dataset, Job, Tagging
from store.settings import StoreSettings
from tools.found import found_by_method, table

DATASET = "digits-demo"
NOISE = {"share": 0.08, "seed": 0}
MIN_PRECISION, MIN_RECALL = 0.95, 0.98
START_SECONDS = 60


def main() -> int:
    arguments = _arguments()
    start = time.monotonic()
    try:
        with _server(arguments.port) as address, Client(address) as client:
            good = run(client, start)
            if arguments.exit:
                return 0 if good else 1
            print(f"\nThe worst labels are on top: {address}/    (Ctrl-C ends)")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    except SondageError as fault:
        print(f"demo: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def run(client: Client, start: float) -> bool:
    """Register, train, tag, count. True if the bars are met."""
    print("Registering 1,797 handwritten digits with 8 % of the training labels set wrong …")
    dataset = client.datasets.add("digits", name=DATASET, validation_share=0.1, noise=NOISE)
    tagging = _finished_tagging(client, dataset) or _train_and_tag(client, dataset)
    num, ranked, found = found_by_method(client, tagging, StoreSettings().data_dir)
    print()
    print(table(num, ranked, found))
    print(f"({time.monotonic() - start:.0f} s)")
    ours = found["suspicion"]
    good = ours.precision >= MIN_PRECISION and ours.recall >= MIN_RECALL
    if not good:
        print(f"Below the bars: precision {MIN_PRECISION}, recall {MIN_RECALL}.")
    return good


def _finished_tagging(client: Client, dataset: Dataset) -> Tagging | None:
    """The one of an earlier demo: it can be run again and again."""
    finished = (tagging for tagging in client.taggings.list(dataset=dataset) if tagging.state == "finished")
    return next(finished, None)


def _train_and_tag(client: Client, dataset: Dataset) -> Tagging:
    print("Training twice with planted probes, then tagging …")
    started = client.runs.start(dataset).wait(on_progress=_show_progress)
    _clear_line()
    if started.tagging is None:
        raise Unavailable("The runs were made without a tagging.")
    return started.tagging


def _show_progress(job: Job) -> None:
    if sys.stderr.isatty() and job.progress.total:
        done = f"{job.progress.done:.0f} of {job.progress.total:.0f} {job.progress.unit}s"
        sys.stderr.write(f"\r\x1b[K  {job.kind} {job.run_id or job.tagging_id}: {done}")


def _clear_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


@contextlib.contextmanager
def _server(port: int) -> Iterator[str]:
    """The server with a worker, as `make up` starts them; ended with all that belongs to it. Port 0: a free one."""
    port = port or _free_port()
    _refuse_taken(port)
    command = [sys.executable, "-m", "app", "up", "--port", str(port)]
    environment = os.environ | {"SONDAGE_LOG_LEVEL": os.environ.get("SONDAGE_LOG_LEVEL", "warning")}
    process = subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parent.parent, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, address)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise Unavailable(
                f"Something listens on port {port} already: end it, or choose another with --port."
            )


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    """Until the server answers and a worker has shown itself."""
    deadline = time.monotonic() + START_SECONDS
    with Client(address) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Unavailable(
                    f"The server ended with code {process.returncode}; its reason stands above."
                )
            with contextlib.suppress(Unavailable):
                if client.health().worker_seen_at is not None:
                    return
            time.sleep(0.2)
    raise Unavailable(f"The server was not ready within {START_SECONDS} seconds.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument(
        "--exit", action="store_true", help="end instead of serving; 1 when the figures are too low"
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000); 0 takes a free one")
    chosen = parser.parse_args()
    if not 0 <= chosen.port <= 65_535:
        parser.error(f"--port is {chosen.port}: 0 to 65535.")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
