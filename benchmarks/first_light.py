"""The main job by command line on real data: registered, trained, tagged; how many planted errors stand on top.

    python -m benchmarks.first_light DATA_FOLDER [--only trec] [--out docs/benchmarks/first-light.md]

DATA_FOLDER holds mnist.npz, cifar10_train.parquet, trec.parquet and adult.parquet; what is missing is left out. Each
row starts from nothing: an own data folder, an own server with its worker, and the commands of the README. Wall times
include everything from the command to its end; the peak of memory is that of all processes of the server together
(shared pages counted once per process), sampled ten times a second. Notes that stand below the marker in the page of
--out are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.pages import notes_of, write_page
from sondage.client import Client
from tools.found import NAMES, Found, found_by_method

ROOT = Path(__file__).resolve().parent.parent
ROWS = {
    "mnist": ("mnist.npz", "--plant-noise 0.1"),
    "cifar10": ("cifar10_train.parquet", "--limit 10000 --validation-share 0.1 --plant-noise 0.2"),
    "trec": ("trec.parquet", "--split-column split --input-columns text --plant-noise 0.1"),
    "adult": ("adult.parquet", "--split-column split --label-column income --plant-noise 0.1"),
}
QUICK = {"trec": ROWS["trec"]}


@dataclass
class Row:
    """One data set: the commands with their seconds, the peak of memory, and what was found."""

    name: str
    commands: list[tuple[str, float]] = field(default_factory=list)
    peak_gib: float = 0.0
    num_planted: int = 0
    num_ranked: int = 0
    found: dict[str, Found] = field(default_factory=dict)
    accuracy_on_probes: float = 0.0
    validation_accuracy: list[float | None] = field(default_factory=list)


def main() -> int:
    arguments = _arguments()
    wanted = QUICK if arguments.quick else ROWS
    rows = []
    for name, (file, options) in wanted.items():
        path = arguments.data / file
        if arguments.only and name not in arguments.only:
            continue
        if not path.exists():
            print(f"{name}: {path} is not there; left out")
            continue
        rows.append(measure(name, path, options))
        print(_as_text(rows[-1]), flush=True)
    if arguments.out:
        write_page(arguments.out, _as_markdown(rows))
    print(json.dumps({"benchmark": "first_light", "figures": {row.name: asdict(row) for row in rows}}))
    return 0 if rows else 1


def measure(name: str, path: Path, options: str) -> Row:
    row = Row(name)
    with tempfile.TemporaryDirectory(prefix="sdg-", dir="/tmp") as folder:
        environment = os.environ | {
            "SONDAGE_DATA_DIR": folder,
            "SONDAGE_URL": f"http://127.0.0.1:{_free_port()}",
            "SONDAGE_LOG_LEVEL": "warning",
        }
        server = _start(environment)
        try:
            with _PeakMemory(server.pid) as memory:
                _command(row, environment, f"dataset add {path} --name {name} {options}")
                _command(row, environment, f"run start {name} --name first-light")
                _command(row, environment, "tags latest --limit 100 --format csv")
            row.peak_gib = memory.peak_bytes / 1024**3
            _look(row, environment["SONDAGE_URL"], Path(folder))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)
    return row


def _start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app", "up", "--port", environment["SONDAGE_URL"].rpartition(":")[2]]
    server = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True)
    with Client(environment["SONDAGE_URL"]) as client:
        for _ in range(300):
            try:
                if client.health().worker_seen_at is not None:
                    return server
            except Exception:  # noqa: S110 (it is still starting)
                pass
            time.sleep(0.2)
    raise RuntimeError("the server did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(row: Row, environment: dict[str, str], words: str) -> None:
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("sondage")), *shlex.split(words)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"sondage {words} ended with {done.returncode}: {done.stderr}")
    row.commands.append((f"sondage {words}", time.perf_counter() - start))


def _look(row: Row, address: str, data_dir: Path) -> None:
    with Client(address) as client:
        tagging = client.taggings.get("latest")
        row.num_planted, row.num_ranked, row.found = found_by_method(client, tagging, data_dir)
        report = client.taggings.report(tagging.id).report
        row.accuracy_on_probes = float(
            report["overall"]["accuracy"] if "overall" in report else report["accuracy"]
        )
        for run_id in tagging.run_ids:
            row.validation_accuracy.append(
                list(client.runs.epochs(run_id))[-1].metrics.get("validation_accuracy")
            )


class _PeakMemory:
    """The most memory that a process and all below it held together."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.peak_bytes = max(self.peak_bytes, sum(map(_memory, family)))


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def _as_text(row: Row) -> str:
    lines = [row.name, *(f"  {seconds:7.1f} s  {command}" for command, seconds in row.commands)]
    lines.append(f"  peak memory {row.peak_gib:.2f} GiB; {row.num_planted} planted among {row.num_ranked:,}")
    for method, found in row.found.items():
        lines.append(
            f"  {NAMES[method]:22} {found.precision:.3f}  {found.recall:.3f}  {found.average_precision:.3f}"
        )
    return "\n".join(lines)


def _as_markdown(rows: list[Row]) -> str:
    now = datetime.now(UTC).date().isoformat()
    memory = psutil.virtual_memory().total / 1024**3
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, no GPU, CPython {platform.python_version()}"
    lines = [
        "# First light: the main job on real data",
        "",
        f"{now}. {machine}. `python -m benchmarks.first_light ../shared/data --out docs/benchmarks/first-light.md`.",
        "Two seeds, the default suite and recipe of each modality, the reference tagger; uniform label noise planted",
        "in the train split (seed 0). Precision among as many as were planted, recall among twice as many, average",
        "precision.",
        "Nothing was tuned on these figures beyond what `docs/method.md` says.",
        "",
        "| data | wrong / examples | ranking | precision | recall | average precision |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for method, name in NAMES.items():
            if method in row.found:
                found = row.found[method]
                lines.append(
                    f"| {row.name} | {row.num_planted:,} / {row.num_ranked:,} | {name} | {found.precision:.3f}"
                    f" | {found.recall:.3f} | {found.average_precision:.3f} |"
                )
    lines += [
        "",
        "| data | peak memory, all processes | accuracy on held-out probes | validation accuracy per seed |",
        "|---|---|---|---|",
    ]
    for row in rows:
        accuracy = ", ".join("–" if value is None else f"{value:.3f}" for value in row.validation_accuracy)
        lines.append(f"| {row.name} | {row.peak_gib:.2f} GiB | {row.accuracy_on_probes:.3f} | {accuracy} |")
    lines += ["", "Commands and wall times:", "", "```"]
    for row in rows:
        lines += [f"{seconds:7.1f} s  {command}" for command, seconds in row.commands]
    return "\n".join([*lines, "```", ""])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--only", nargs="*", choices=ROWS)
    parser.add_argument("--quick", action="store_true", help="only the smallest one")
    parser.add_argument("--check", action="store_true", help="has no bar: for `make bench`")
    parser.add_argument(
        "--out", type=Path, help="write the table to this file; notes below its marker are kept"
    )
    arguments = parser.parse_args()
    if arguments.out:
        try:
            notes_of(arguments.out)
        except ValueError as fault:  # said before half an hour of measuring, not after it
            parser.error(str(fault))
    return arguments


if __name__ == "__main__":
    sys.exit(main())
