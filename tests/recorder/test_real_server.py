"""The recorder on a real server: the guide from top to bottom, whole curves, names, several processes, a kill."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sondage
from sondage.cli import main
from sondage.client import Client

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "record-your-own-training.md"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def here(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SONDAGE_URL", server_url)
    return server_url


def test_the_guide(here: str, tmp_path: Path) -> None:
    names: dict[str, object] = {}
    for text in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.M | re.S):
        exec(compile(text, GUIDE.name, "exec"), names)  # noqa: S102  # our own page
    frame = names["result"].to_pandas()  # type: ignore[attr-defined]
    wrong = frame["key"].astype(int) % 25 == 0
    assert wrong.head(50).mean() > 0.5, "wrong labels stand at the top"
    with Client() as client:
        looked = np.isfinite(client.runs.curves("with-looks", "label_odds")).all(axis=0)
        distances = client.runs.curves("with-looks", "distance")
        by_hand = client.runs.curves("looks-by-hand", "label_odds")
    assert looked.tolist() == [True, True, False, False, False, True]
    np.testing.assert_array_equal(np.isfinite(distances).all(axis=0), looked)
    assert np.isfinite(by_hand).all()
    assert main(["sync"]) == 0
    assert list((tmp_path / "sondage-spool").iterdir()) == []


def test_what_is_recorded_is_what_the_client_reads(here: str) -> None:
    rng = np.random.default_rng(0)
    losses, margins = rng.normal(size=(2, 70_000, 2)).astype(np.float32)
    channels = {"loss": "float32", "margin": "float16", "count": "int8"}
    run = sondage.init(dataset="many", run="many", labels=np.arange(70_000) % 7, channels=channels)
    for epoch in range(2):
        rows = rng.permutation(70_000)[: 69_000 + epoch]
        run.log(rows=rows, loss=losses[rows, epoch], margin=margins[rows, epoch])
        losses[np.setdiff1d(np.arange(70_000), rows), epoch] = np.nan
        run.end_epoch()
    run.finish()
    with Client() as client:
        there = client.runs.get("many")
        np.testing.assert_array_equal(client.runs.curves(there), losses)
        assert client.runs.curves(there, "margin").dtype == np.float16
        assert client.runs.curves(there, "count").sum() == 138_001
        closed = list(client.runs.epochs(there))
    assert (there.state, there.num_epochs) == ("finished", 2)
    assert closed[0].metrics["coverage"] == pytest.approx(69_000 / 70_000)


def test_a_name_that_is_taken_and_one_gone_on_with(here: str) -> None:
    for epochs, resume in ((range(2), False), (range(2, 3), True)):
        run = sondage.init(dataset="small", run="again", labels=[0, 1, 1], channels=("loss",), resume=resume)
        assert run.next_epoch == epochs[0]
        for epoch in epochs:
            run.log(rows=[0, 2], loss=np.array([epoch, epoch + 0.5]))
            run.end_epoch()
        run.finish("failed")
    with pytest.raises(sondage.Conflict, match="resume=True"):
        sondage.init(dataset="small", run="again", labels=[0, 1, 1], channels=("loss",))
    with Client() as client:
        np.testing.assert_array_equal(client.runs.curves("again"), [[0, 1, 2], [np.nan] * 3, [0.5, 1.5, 2.5]])
        assert client.runs.get("again").state == "failed"


def test_a_run_aborted_on_the_server_goes_on_where_it_trains(
    here: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = sondage.init(dataset="ended", run="ended", labels=[0, 1, 1], channels=("loss",))

    def train(epoch: int) -> None:
        run.log(rows=[0, 1, 2], loss=np.full(3, epoch, np.float32))
        run.end_epoch()

    train(0)
    with Client() as client:
        until(lambda: any(one.name == "ended" and one.epochs_done for one in client.runs.list()))
        assert main(["run", "abort", "ended"]) == 0
        assert client.runs.get("ended").state == "aborted"
        for epoch in range(1, 4):
            train(epoch)
        started = time.monotonic()
        run.finish()
        assert time.monotonic() - started < 10, "a refusal is not waited for"
        said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        number = client.runs.number("ended")
        assert len([text for text in said if "refused what was recorded" in text]) == 1
        assert f"sondage run reopen {number}" in said[0]
        assert client.runs.get("ended").epochs_done == 1
        assert main(["sync"]) != 0, "as long as it is closed"
        assert list((tmp_path / "sondage-spool").iterdir()) != []
        assert main(["run", "reopen", "ended"]) == 0
        assert main(["sync"]) == 0
        assert client.runs.get("ended").state == "finished"
        np.testing.assert_array_equal(client.runs.curves("ended"), [[0, 1, 2, 3]] * 3)
    assert list((tmp_path / "sondage-spool").iterdir()) == []


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def torchrun(url: str, spool: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "tests/recorder/ranks_program.py", url, str(spool), *more],
        cwd=ROOT, capture_output=True, text=True, timeout=180,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_two_processes_of_which_one_is_killed(here: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    assert torchrun(here, spool, "1:1", "").returncode != 0
    again = torchrun(here, spool, "", "resume", str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert sorted(line for line in again.stdout.splitlines() if "next" in line) == ["next 0 1", "next 1 1"]
    with Client() as client:
        loss = client.runs.curves("ranks")
        closed = list(client.runs.epochs("ranks"))
        assert client.runs.get("ranks").state == "finished"
        drawn = client.runs.curves("drawn"), client.runs.curves("drawn", "count")
    assert loss.shape == (7, 3)
    assert not np.isnan(loss).any()
    assert [one.metrics["coverage"] for one in closed] == [1, 1, 1]
    assert list(spool.iterdir()) == []
    check_drawn(tmp_path, *drawn)


def check_drawn(folder: Path, losses: np.ndarray, counts: np.ndarray) -> None:
    """With replacement: the mean over all that both processes saw of an example, and how often that was."""
    seen = [np.load(folder / f"rank{rank}.npy") for rank in (0, 1)]
    often = 0
    for row in range(7):
        for epoch in range(2):
            each = [[loss for e, r, loss in one if (e, r) == (epoch, row)] for one in seen]
            values = each[0] + each[1]
            expected = sum(values) / len(values) if values else np.nan
            np.testing.assert_allclose(losses[row, epoch], expected, rtol=1e-5)
            assert max(counts[row, epoch], 0) == len(values)
            often += min(len(each[0]), len(each[1])) > 1 and len(each[0]) != len(each[1])
    assert often > 2, "some are seen several times by both, and not equally often"
