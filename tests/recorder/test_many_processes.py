"""Several processes record one run: two real ones on gloo, and ranks played one after the other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sondage
from sondage.cli import main
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer, Request

ROOT = Path(__file__).parents[2]


def train(url: str, spool: Path) -> None:
    """Two processes as `torchrun` would start them; under itself, and ended by it: `test_real_server.py`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            [sys.executable, "tests/recorder/ranks_program.py", url, str(spool), "", ""],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **place, "RANK": str(rank), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        said = [rank.communicate(timeout=120)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], said


def test_two_processes_record_one_whole_run(server: FakeServer, tmp_path: Path) -> None:
    train(server.url, tmp_path)
    assert server.run.state == "finished"
    loss = server.run.curves("loss")
    assert loss.shape == (7, 3)
    assert not np.isnan(loss).any()
    for epoch in range(3):
        seen = [server.run.parts[epoch, rank, "loss", 0] for rank in (0, 1)]
        assert sum(int((~np.isnan(part)).sum()) for part in seen) == 8, "the padding is seen by both"
    assert server.run.closed_by[0].keys() == {0, 1}
    assert list(tmp_path.iterdir()) == []


def log(run: sondage.Run, rows: list[int], value: float) -> None:
    run.log(rows=rows, loss=np.full(len(rows), value))
    run.end_epoch()


def ranks_of(init: Init, world_size: int = 2) -> list[sondage.Run]:
    return [init(rank=rank, world_size=world_size, channels=("loss",)) for rank in range(world_size)]


def test_what_both_saw_counts_once_and_is_the_lowest_ranks(init: Init, server: FakeServer) -> None:
    first, second = ranks_of(init)
    log(second, [3, 4, 5, 0], 2.0)
    log(first, [0, 1, 2], 1.0)
    second.finish()
    first.finish()
    assert server.run.curves("loss")[:, 0].tolist() == [1, 1, 1, 2, 2, 2]


def test_a_rank_that_never_comes_is_not_waited_for_for_ever(init: Init, server: FakeServer) -> None:
    first, second = ranks_of(init)
    log(second, [3, 4, 5], 2.0)
    log(first, [0, 1, 2], 1.0)
    second.finish()
    log(first, [0, 1, 2], 1.5)
    first.finish(timeout_seconds=3)
    assert server.run.state == "finished"
    np.testing.assert_array_equal(server.run.curves("loss")[:, 1], [1.5, 1.5, 1.5, np.nan, np.nan, np.nan])


def test_a_rank_that_closes_while_the_run_is_ended_is_no_refusal(init: Init, server: FakeServer) -> None:
    """The server says that an epoch waits; when it is asked for whom, the other rank has sent its part."""
    first, second = ranks_of(init)
    log(first, [0, 1, 2], 1.0)

    def fault(request: Request) -> None:
        if request.path.endswith("/recording") and second.next_epoch == 0:
            log(second, [3, 4, 5], 2.0)
            server.fault = lambda request: None
            server.wait_until(lambda: server.closed_epochs() == 1)

    server.fault = fault
    first.finish()
    assert server.run.state == "finished"
    second.finish()


def test_ranks_that_were_offline_are_sent_together(init: Init, server: FakeServer, tmp_path: Path) -> None:
    runs = [init(rank=rank, world_size=2, channels=("loss",), mode="offline") for rank in (0, 1)]
    for value, run in zip((1.0, 2.0), runs, strict=True):
        log(run, [0, 1, 2] if value == 1 else [3, 4, 5], value)
        run.finish()
    assert main(["--url", server.url, "sync", str(tmp_path / "spool")]) == 0
    assert server.run.curves("loss")[:, 0].tolist() == [1, 1, 1, 2, 2, 2]
    assert server.run.state == "finished"
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_rank_whose_parts_are_elsewhere_is_named(init: Init, server: FakeServer, tmp_path: Path) -> None:
    run = init(rank=0, world_size=2, channels=("loss",), mode="offline")
    log(run, [0], 1.0)
    run.finish()
    assert main(["--url", server.url, "sync", str(tmp_path / "spool")]) == 1
    assert server.run.state == "running"
    assert main(["--url", server.url, "sync", str(tmp_path / "spool"), "--force"]) == 0
    assert server.run.state == "finished"


def test_several_processes_need_a_name(init: Init) -> None:
    with pytest.raises(sondage.InvalidInput, match="name it"):
        init(run=None, rank=0, world_size=2)
