"""Folders of the spool: who holds them, and what happens when they are missing, shared or slow."""

from __future__ import annotations

import errno
import fcntl
import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sondage
from sondage.cli import main
from sondage.errors import Conflict, InvalidInput
from sondage.recorder import spool as spool_module
from sondage.recorder.parcel import Parcel
from sondage.recorder.spool import RunFolder
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer, Request
from tests.recorder.test_faults import record, recorded, warnings_in


def spooled(run: sondage.Run) -> None:
    assert run._parts.outbox.wait_until_spooled(5)


def losses_in(run: sondage.Run) -> list[float]:
    folder = run._parts.outbox.folder
    return [float(folder.read_epoch(epoch).channels["loss"][0]) for epoch in folder.epochs()]


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


# ---- two runs in one process


def test_runs_without_a_name_do_not_share_a_folder(init: Init) -> None:
    first, second = (init(run=None, mode="offline", channels=("loss",)) for _ in range(2))
    assert first.name != second.name
    record(first, 1, 2)
    record(second, 9)
    spooled(first)
    spooled(second)
    assert (losses_in(first), losses_in(second)) == ([1, 2], [9])


def test_a_default_name_of_a_long_dataset_is_a_name(init: Init) -> None:
    assert len(init(run=None, dataset="d" * 200, mode="offline", channels=("loss",)).name) <= 200


def test_a_folder_is_held_by_one_run_of_a_process(init: Init, tmp_path: Path) -> None:
    first = init(mode="offline", channels=("loss",))
    with pytest.raises(Conflict, match="resume=True"):
        init(mode="offline", channels=("loss",))
    again = tmp_path / "link"
    again.symlink_to(tmp_path / "spool")
    with pytest.raises(Conflict, match="this process"):
        init(mode="offline", channels=("loss",), spool=again)
    # The lock against other processes is still there: the file was not opened, and closed, a second time.
    folder = first._parts.outbox.folder
    assert not another_process_can_lock(folder.path / "rank0.lock")
    first.finish()
    assert another_process_can_lock(folder.path / "rank0.lock")


def another_process_can_lock(path: Path) -> bool:
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True).returncode == 0


def test_sync_keeps_no_folder_that_it_could_not_have(init: Init, tmp_path: Path) -> None:
    run = init(mode="offline", channels=("loss",))
    record(run, 1)
    spooled(run)
    path = run._parts.outbox.folder.path
    (path / "rank1.json").write_text("{}")
    assert main(["sync", str(path)]) == 1
    other = RunFolder(path, 1)
    other.acquire()
    other.release()


# ---- resume in the process that began the run


def test_resume_in_the_same_process_takes_the_older_runs_place(init: Init, server: FakeServer) -> None:
    first = init(channels=("loss",))
    record(first, 0)
    server.wait_until(lambda: server.closed_epochs() == 1)
    server.stop()
    record(first, 1, 2)
    second = init(channels=("loss",), resume=True)
    assert second.next_epoch == 3
    record(second, 3)
    server.start()
    server.wait_until(lambda: server.closed_epochs() == 4)
    record(second, 4)
    second.finish()
    assert recorded(server) == [0, 1, 2, 3, 4]
    assert (second.num_unsent, second.num_lost) == (0, 0)
    with pytest.raises(InvalidInput, match="took this run's place"):
        first.log(rows=[0], loss=np.zeros(1))
    first.finish()
    assert not first._parts.sender._thread.is_alive()


def test_resume_while_the_older_sender_waits_for_an_answer(init: Init, server: FakeServer) -> None:
    """What that one hears afterwards is no longer its to note: the files are the other's."""
    answer, asked = threading.Event(), threading.Event()

    def fault(request: Request) -> Any:
        if "/curves/" in request.path and not asked.is_set():
            asked.set()
            answer.wait(20)
        return None

    first = init(channels=("loss",))
    server.fault = fault
    record(first, 0, 1)
    assert asked.wait(10)
    threading.Timer(0.5, answer.set).start()
    second = init(channels=("loss",), resume=True)
    record(second, 2)
    second.finish()
    assert recorded(server) == [0, 1, 2]
    assert (second.num_unsent, second.num_lost) == (0, 0)


# ---- files that are gone


def test_a_file_that_was_removed_is_lost_and_the_next_is_sent(init: Init, server: FakeServer) -> None:
    run = init(channels=("loss",))
    server.stop()
    record(run, 0, 1, 2)
    spooled(run)
    next(run._parts.outbox.folder.path.glob("*-000001.epoch")).unlink()
    server.start()
    run.finish()
    assert (run.num_lost, run.num_unsent) == (1, 0)
    np.testing.assert_array_equal(recorded(server), [0, np.nan, 2])
    assert server.run.closed[1]["metrics"] == {"lost": True}


def test_a_folder_that_was_removed_is_made_again(init: Init, server: FakeServer, tmp_path: Path) -> None:
    run = init(channels=("loss",))
    server.stop()
    record(run, 0, 1)
    spooled(run)
    shutil.rmtree(tmp_path / "spool")
    record(run, 2)
    spooled(run)
    path = run._parts.outbox.folder.path
    assert {"run.json", "dataset.arrow", "rank0.lock"} <= {one.name for one in path.iterdir()}
    server.start()
    assert not another_process_can_lock(path / "rank0.lock")
    record(run, 3)
    run.finish()
    # The first one may have been on its way already, and then arrives.
    first = [0] if run.num_lost == 1 else [np.nan]
    assert run.num_lost in (1, 2)
    np.testing.assert_array_equal(recorded(server), [*first, np.nan, 2, 3])
    assert server.run.state == "finished"
    assert list((tmp_path / "spool").iterdir()) == []


def test_an_offline_folder_that_was_removed_is_whole_enough_to_be_sent(
    init: Init, server: FakeServer, tmp_path: Path
) -> None:
    run = init(channels=("loss",), mode="offline")
    record(run, 0, 1)
    spooled(run)
    shutil.rmtree(tmp_path / "spool")
    run.finish()
    assert run.num_lost == 2
    assert main(["sync", str(tmp_path / "spool")]) == 0
    assert server.run.state == "finished"
    np.testing.assert_array_equal(recorded(server), [np.nan, np.nan])


# ---- other ranks elsewhere


def interrupted(init: Init, epochs: int) -> None:
    """Rank 0 of two, on a node of its own, broke off with this many epochs closed and not sent."""
    run = init(channels=("loss",), rank=0, world_size=2)
    record(run, *range(epochs))
    spooled(run)
    run.give_way()


@pytest.mark.parametrize("server_answers", [False, True])
def test_resume_without_the_other_ranks_folders_deletes_nothing(
    init: Init, server: FakeServer, tmp_path: Path, server_answers: bool
) -> None:
    server.stop()
    interrupted(init, 3)
    if server_answers:
        server.start()
    run = init(channels=("loss",), rank=0, world_size=2, resume=True)
    # The server has none, so that all ranks agree on 0; where it is away, what was closed here is all that is known.
    assert run.next_epoch == (0 if server_answers else 3)
    assert len(list((tmp_path / "spool").rglob("*.epoch"))) == 3
    if not server_answers:
        server.start()
    record(run, *(np.arange(run.next_epoch, 4) + 10 * (np.arange(run.next_epoch, 4) < 3)))
    other = init(channels=("loss",), rank=1, world_size=2, spool=tmp_path / "other", resume=True)
    for epoch in range(4):
        other.log(rows=[0], loss=np.full(1, epoch + 100.0))
        other.end_epoch()
    run.finish(timeout_seconds=10)
    other.finish()
    assert recorded(server) == [0, 1, 2, 3]


# ---- a slow disk, a full memory, a file system without locks


def test_the_training_waits_for_no_disk(init: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    run = init(channels=("loss",), mode="offline")
    record(run, 0)
    spooled(run)
    write, writing, go_on = spool_module._write, threading.Event(), threading.Event()

    def slow(path: Path, content: bytes) -> None:
        if path.name == "rank0.json":
            writing.set()
            go_on.wait(20)
        write(path, content)

    monkeypatch.setattr(spool_module, "_write", slow)
    outbox = run._parts.outbox
    parcel = outbox.next(1)
    assert parcel is not None
    noting = threading.Thread(target=outbox.acknowledge, args=(parcel,), kwargs={"closed": True})
    noting.start()
    assert writing.wait(10)
    ended = threading.Thread(target=record, args=(run, 1))
    ended.start()
    ended.join(5)
    waited = ended.is_alive()
    go_on.set()
    noting.join()
    assert not waited


@pytest.mark.parametrize("times", [1, 2])
def test_a_writer_without_memory_goes_on(
    init: Init, server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: Any, times: int
) -> None:
    real, left = Parcel.to_bytes, [times]

    def fails(self: Parcel) -> bytes:
        if left[0]:
            left[0] -= 1
            raise MemoryError
        return real(self)

    run = init(channels=("loss",))
    monkeypatch.setattr(Parcel, "to_bytes", fails)
    record(run, 0)
    spooled(run)
    record(run, 1)
    run.finish()
    assert (run.num_lost, run.num_unsent) == (1, 0)
    np.testing.assert_array_equal(recorded(server), [np.nan, 1])
    assert len(warnings_in(caplog)) == 1
    assert "MemoryError" in warnings_in(caplog)[0]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_file_system_without_locks(
    init: Init, server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: Any, number: int
) -> None:
    def none(*_: object) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(fcntl, "lockf", none)
    run = init(channels=("loss",))
    assert "no locks" in warnings_in(caplog)[0]
    with pytest.raises(Conflict):
        init(channels=("loss",))
    record(run, 1)
    run.finish()
    assert recorded(server) == [1]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_a_lock_of_another_process(init: Init, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def taken(*_: object) -> None:
        raise OSError(number, "taken")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "lockf", taken)
        with pytest.raises(Conflict, match="another process"):
            init(mode="offline")
    init(mode="offline")


# ---- the end


@pytest.mark.parametrize("late", [False, True])
def test_no_thread_is_left_of_a_run_that_has_arrived(init: Init, server: FakeServer, late: bool) -> None:
    run = init(channels=("loss",))
    if late:
        server.stop()
    record(run, 1)
    run.finish(timeout_seconds=0.2 if late else 30)
    if late:
        server.start()
    parts = run._parts
    wait_for(lambda: not parts.outbox._thread.is_alive() and not parts.sender._thread.is_alive())
    assert recorded(server) == [1]


# ---- what the server would refuse


@pytest.mark.parametrize(
    ("metrics", "match"),
    [
        ({f"m{i}": 1 for i in range(501)}, "at most 480"),
        ({"note": "a\0b"}, "note.*NUL"),
        ({"note": "\ud800"}, "surrogate"),
        ({"a\0b": 1}, "name.*NUL"),
        ({"big": 10**30}, "64 bits"),
        ({"z": 1j}, "complex"),
        ({"num_seen": 3, "coverage": 1.0}, "named coverage.*my_coverage"),
    ],
)
def test_metrics_that_the_server_would_refuse(
    init: Init, server: FakeServer, metrics: dict[str, Any], match: str
) -> None:
    run = init(channels=("loss",))
    run.log(rows=np.arange(6), loss=np.ones(6))
    with pytest.raises(InvalidInput, match=match):
        run.end_epoch(**metrics)
    run.end_epoch(**{f"m{i}": 1 for i in range(480)})
    run.finish()
    assert recorded(server) == [1]
    assert len(server.run.closed[0]["metrics"]) < 500


def test_a_protocol_of_numpy_numbers(init: Init, server: FakeServer) -> None:
    given = {"lr": np.float32(0.5), "steps": np.array([1, 2]), "deep": {"on": np.bool_(True)}, "nan": np.nan}
    with init(channels=("loss",), protocol=given) as run:
        record(run, 1)
    expected = {"lr": 0.5, "steps": [1, 2], "deep": {"on": True}, "nan": None}
    assert {name: server.run.body["protocol"][name] for name in given} == expected


@pytest.mark.parametrize(
    ("protocol", "match"),
    [({"f": print}, "protocol\\['f'\\] is a builtin"), ({"t": ["a\0"]}, "NUL"), ({1: 2}, "names are texts")],
)
def test_a_protocol_that_cannot_be_kept(init: Init, protocol: Any, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        init(protocol=protocol, mode="offline")


def test_the_log_says_nothing_where_all_is_well(init: Init, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="sondage"), init(channels=("loss",)) as run:
        record(run, 1, 2)
    assert [one for one in caplog.records if one.name == "sondage"] == []
