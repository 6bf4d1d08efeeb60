"""The command line on a real server: what goes wrong, what is interrupted, what programs read."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sondage.client import Client
from sondage.errors import Conflict, InvalidRows, JobAborted, JobFailed
from sondage.wire import Run

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "import sys; from sondage.cli import main; sys.exit(main())"]
Sondage = Callable[..., int]
LONG = {"num_epochs": 10_000}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of two classes, so few that an epoch takes no time."""
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    x = (rng.normal(size=(160, 4)) + 3 * y[:, None]).astype("float32")
    file = tmp_path_factory.mktemp("files") / "two.npz"
    np.savez(file, x_train=x, y_train=y)
    return file


@pytest.fixture(scope="module")
def vectors(server_url: str, two: Path) -> int:
    with Client(server_url) as client:
        return client.datasets.add(two).id


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def ended(client: Client, run: Run) -> bool:
    return client.runs.get(run.id).state in ("finished", "failed", "aborted")


def test_a_file_with_wrong_rows_is_a_failed_job_and_no_dataset(
    sondage: Sondage, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text("text,label\none word,a\ntwo words,\nthree,b\n")
    assert sondage("dataset", "add", tmp_path / "bad.csv") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "label" in said.err
    assert list(client.datasets.list(name="bad")) == []
    job = next(client.jobs.list(state="failed"))
    with pytest.raises(JobFailed, match="label"):
        client.jobs.wait(job)


def test_the_same_again_is_the_version_that_is_there(
    sondage: Sondage, vectors: int, two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sondage("dataset", "add", two) == 0
    said = capsys.readouterr()
    assert said.out.split()[:2] == ["dataset", str(vectors)]
    assert "there already" in said.err


def test_everything_that_reads_speaks_json_alone(
    sondage: Sondage, client: Client, vectors: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(*words: object) -> Any:
        assert sondage(*words, "--json") == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    started = read("run", "start", "two", "--name", "json", "--epochs", 3, "--seeds", "0,1")
    assert [run["state"] for run in started["runs"]] == ["finished", "finished"]
    number = started["tagging"]["id"]
    assert read("run", "show", "json-s1")["epochs_done"] == 3
    assert {run["name"] for run in read("run", "list", "--dataset", "two")} >= {"json-s0", "json-s1"}
    assert read("dataset", "show", "two")["id"] == vectors
    assert vectors in [found["id"] for found in read("dataset", "list")]
    assert read("tagging", "show", "json")["id"] == number
    assert number in [found["id"] for found in read("tagging", "list", "--dataset", "two")]
    assert read("report", number)["report"]["overall"]["num_held_out"] > 0
    assert len(read("tags", number)) == 160
    assert "nearest probe" in read("explain", 0, number)["sentence"]
    assert [tag["position"] for tag in read("tags", "json", "--limit", 3)] == [0, 1, 2]
    assert read("suite", "list", "--limit", 1)[0]["name"]
    assert read("job", "show", started["jobs"][0]["id"])["state"] == "succeeded"
    assert all(job["kind"] == "tag" for job in read("job", "list", "--kind", "tag"))
    assert read("tag", "json-s0", "json-s1", "-k", 2)["parameters"] == {"k": 2}
    assert read("tagging", "delete", number, "--yes")["id"] == number
    assert number not in [found["id"] for found in read("tagging", "list")]


def test_conflicts_and_things_that_are_not_there_have_their_codes(
    sondage: Sondage, client: Client, vectors: int, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ("run", "start", vectors, "--name", "once", "--epochs", 2, "--seeds", "0")
    assert sondage(*start) == 0
    assert sondage(*start) == 4
    assert "once-s0" in capsys.readouterr().err
    assert sondage("dataset", "delete", vectors, "--yes") == 4
    assert "once-s0" in capsys.readouterr().err
    assert sondage("dataset", "show", "nothing") == 3
    assert sondage("tags", 999_999) == 3
    assert sondage("run", "start", vectors, "--set", "colour=red") == 2
    assert "colour" in capsys.readouterr().err
    assert sondage("--project", "nobodys", "run", "list") == 3
    assert sondage("dataset", "add", "/etc", "--server-path") == 4


def test_wrong_members_of_a_suite_are_listed_by_row(
    sondage: Sondage, client: Client, vectors: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "members.csv"
    file.write_text("key,category\n0,noisy\nnobody,noisy\n1,prototypical\n2,imagined\n")
    assert sondage("suite", "upload", file, "--name", "wrong", "--dataset", "two", "--json") == 2
    said = json.loads(capsys.readouterr().err)
    assert [row["index"] for row in said["errors"]] == [1, 3]
    with pytest.raises(InvalidRows) as caught:
        client.suites.upload(file, name="wrong", dataset=vectors)
    assert [row.index for row in caught.value.rows] == [1, 3]
    assert list(client.suites.list(name="wrong")) == []


def test_an_interrupted_wait_leaves_the_training_going(
    server_url: str, sondage: Sondage, client: Client, vectors: int
) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "run", "start", str(vectors), "--name", "long", "--seeds", "0", "--epochs", "10000"],
        cwd=ROOT,
        env=os.environ | {"SONDAGE_URL": server_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: any(run.name == "long-s0" and run.epochs_done for run in client.runs.list()))
    run = client.runs.get("long-s0")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert f"sondage run abort {run.id}" in err
    assert "Traceback" not in err
    assert client.runs.get(run.id).state == "running"
    assert sondage("run", "abort", run.id) == 0
    wait_until(lambda: ended(client, run))
    assert client.runs.get(run.id).state == "aborted"


def test_a_wait_for_an_aborted_training_fails(
    sondage: Sondage, client: Client, vectors: int, capsys: pytest.CaptureFixture[str]
) -> None:
    started = client.runs.start(vectors, name="ended", seeds=[0], recipe=LONG)
    job = started.jobs[0]
    assert sondage("job", "abort", job.id) == 0
    with pytest.raises(JobAborted):
        started.wait()
    wait_until(lambda: ended(client, started.runs[0]))
    assert sondage("tag", "ended") == 4
    assert "ended-s0" in capsys.readouterr().err


def test_an_aborted_training_is_resumed(
    sondage: Sondage, client: Client, vectors: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run = client.runs.start(vectors, name="resumed", seeds=[0], recipe=LONG).runs[0]
    client.runs.abort(run)
    wait_until(lambda: ended(client, run))
    assert sondage("run", "resume", "resumed-s0", "--no-wait") == 0
    assert "queued" in capsys.readouterr().err
    assert client.runs.get(run).state in ("queued", "running")
    with pytest.raises(Conflict, match="only one that failed or was aborted"):
        client.runs.resume(run)
    client.runs.abort(run)
    wait_until(lambda: ended(client, run))


def read_to_end(descriptor: int) -> str:
    """All that comes out of a terminal until the last program that has it open ends."""
    said = bytearray()
    while True:
        try:
            data = os.read(descriptor, 65_536)
        except OSError:  # Linux ends a terminal so, other systems with nothing
            data = b""
        if not data:
            return said.decode()
        said.extend(data)


def test_a_terminal_gets_bars(server_url: str, vectors: int) -> None:
    """In a terminal of 80 columns, as the user has it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "run", "start", str(vectors), "--name", "seen", "--seeds", "0", "--epochs", "80"],
        cwd=ROOT,
        env=os.environ | {"SONDAGE_URL": server_url, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = read_to_end(ours)
    os.close(ours)
    assert process.wait(30) == 0, drawn
    assert "training (job " in drawn
    assert " of 80" in drawn
    assert "seen-s0" in drawn
    assert "sondage tags" in drawn
