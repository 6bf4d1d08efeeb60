"""The training goes on whatever happens to the server, the disk or the network, and nothing is lost in silence."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sondage
from sondage.cli import main
from sondage.errors import Conflict
from sondage.recorder import outbox as outbox_module
from sondage.recorder import spool as spool_module
from tests.recorder.conftest import Init
from tests.recorder.fake_server import FakeServer, Request, problem

ROOT = Path(__file__).parents[2]


def record(run: sondage.Run, *losses: float) -> None:
    """One epoch for each loss, which all rows have."""
    for loss in losses:
        run.log(rows=np.arange(6), loss=np.full(6, float(loss)))
        run.end_epoch()


def recorded(server: FakeServer) -> list[float]:
    return [float(value) for value in server.run.curves("loss")[0]]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_server_away_at_the_start(init: Init, server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    server.stop()
    run = init(channels=("loss",))
    record(run, 1, 2, 3)
    assert len(warnings_in(caplog)) == 1
    server.start()
    run.finish()
    assert recorded(server) == [1, 2, 3]
    assert server.run.state == "finished"
    assert len(warnings_in(caplog)) == 1


def test_a_registered_dataset_on_a_server_away_at_the_start(init: Init, server: FakeServer) -> None:
    server.add_dataset("known", 5, ["a", "b"])
    server.stop()
    run = init(dataset="known", labels=None, class_names=None, channels=("loss",))
    run.log(rows=[3, 0], loss=np.array([3.0, 0.0]))
    run.end_epoch()
    server.start()
    run.finish()
    np.testing.assert_array_equal(server.run.curves("loss")[:, 0], [0, np.nan, np.nan, 3, np.nan])


def test_a_server_away_in_the_middle(
    init: Init, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    run = init(channels=("loss",))
    record(run, 1)
    server.wait_until(lambda: server.closed_epochs() == 1)
    server.stop()
    record(run, 2, 3)
    server.wait_until(lambda: bool(warnings_in(caplog)))
    server.start()
    record(run, 4)
    server.wait_until(lambda: server.closed_epochs() == 4)
    run.finish()
    assert recorded(server) == [1, 2, 3, 4]
    assert len(warnings_in(caplog)) == 1


def test_a_server_away_at_the_end_and_sync_later(
    init: Init, server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    run = init(channels=("loss",))
    record(run, 1)
    server.wait_until(lambda: server.closed_epochs() == 1)
    server.stop()
    record(run, 2)
    started = time.monotonic()
    run.finish(timeout_seconds=0.5)
    assert time.monotonic() - started < 5
    assert "sondage sync" in warnings_in(caplog)[-1]
    run._parts.sender._ended.set()  # this process is over for all that sync can see
    run._parts.outbox.folder.release()
    server.start()
    assert main(["sync", str(tmp_path / "spool"), "--json"]) == 0
    assert '"epochs_sent": 1' in capsys.readouterr().out
    assert recorded(server) == [1, 2]
    assert server.run.state == "finished"
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("path", ["/datasets/recorded", "/runs/recorded", "/curves/", "/epochs/", "/finish"])
@pytest.mark.parametrize("kind", ["500", "503", "closes"])
def test_every_request_may_fail_a_few_times(init: Init, server: FakeServer, path: str, kind: str) -> None:
    left = [4]

    def fault(request: Request) -> Any:
        if path not in request.path or not left[0]:
            return None
        left[0] -= 1
        if kind == "closes":
            raise ConnectionAbortedError
        return problem(int(kind), "internal", "It broke.")

    server.fault = fault
    run = init(channels=("loss",))
    record(run, 1, 2)
    run.finish()
    assert left == [0]
    assert recorded(server) == [1, 2]
    assert server.run.state == "finished"


def test_a_server_that_hangs_holds_nothing_up(init: Init, server: FakeServer) -> None:
    release = threading.Event()

    def fault(request: Request) -> Any:
        if "/curves/" in request.path:
            release.wait(30)
        return None

    run = init(channels=("loss",))
    server.fault = fault
    started = time.monotonic()
    record(run, *range(20))
    assert time.monotonic() - started < 5
    server.wait_until(lambda: not run._parts.outbox._memory)
    assert run.num_unsent == 20
    release.set()
    run.finish()
    assert recorded(server) == list(range(20))


def test_a_revoked_key(init: Init, server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    run = init(channels=("loss",), key="secret")
    record(run, 1)
    server.wait_until(lambda: server.closed_epochs() == 1)
    server.fault = lambda request: problem(401, "unauthorized", "This key was revoked.")
    record(run, 2, 3)
    server.wait_until(lambda: bool(warnings_in(caplog)))
    assert "revoked" in warnings_in(caplog)[0]
    server.fault = lambda request: None
    run.finish()
    assert recorded(server) == [1, 2, 3]
    assert len(warnings_in(caplog)) == 1


def test_the_key_is_not_written_down(init: Init, tmp_path: Path) -> None:
    run = init(key="secret-key", mode="offline")
    run.finish()
    written = [path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert len(written) >= 3
    assert not any(b"secret-key" in content for content in written)


def test_a_server_of_another_version_loses_nothing(
    init: Init, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault = lambda request: problem(426, "client_too_old", "Update: pip install -U sondage.")
    run = init(channels=("loss",))
    record(run, 1, 2)
    run.finish(timeout_seconds=0.3)
    assert "pip install -U sondage" in warnings_in(caplog)[0]
    assert run.num_unsent == 2


def test_a_full_disk_keeps_the_newest_in_memory(
    init: Init, server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is away, too: what has no room is counted, and arrives as an epoch in which nothing was seen."""
    run = init(channels=("loss",))
    server.stop()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool_module, "_write", full)
    monkeypatch.setattr(outbox_module, "RETRY_DISK_SECONDS", 0.05)
    monkeypatch.setattr(outbox_module, "KEPT_BYTES", 0)
    record(run, *range(10))
    kept = outbox_module.KEPT_EPOCHS
    assert run.num_lost == 10 - kept
    assert sum(bool(parcel.channels) for parcel in run._parts.outbox._memory) == kept
    server.start()
    run.finish()
    # The first one may have been on its way already when it was given up.
    assert run.num_lost in (9 - kept, 10 - kept)
    assert int(np.isnan(recorded(server)).sum()) == run.num_lost
    assert recorded(server)[10 - kept :] == list(range(10 - kept, 10))
    assert server.run.closed[1]["metrics"]["lost"] is True
    assert len(warnings_in(caplog)) == 1


def test_a_disk_that_has_room_again_takes_what_waits(
    init: Init, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = init(channels=("loss",), mode="offline")
    monkeypatch.setattr(outbox_module, "RETRY_DISK_SECONDS", 0.05)
    write = spool_module._write
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(spool_module, "_write", full)
        record(run, 1, 2)
        assert not run._parts.outbox.wait_until_spooled(0.2)
    assert spool_module._write is write
    assert run._parts.outbox.wait_until_spooled(5)
    assert len(list((tmp_path / "spool").rglob("*.epoch"))) == 2


def test_a_spool_that_cannot_be_made(init: Init, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    run = init(channels=("loss",), spool=tmp_path / "file" / "spool")
    record(run, 1, 2)
    run.finish()
    assert recorded(server) == [1, 2]


def test_a_name_that_is_taken_is_said_at_once(init: Init, server: FakeServer, tmp_path: Path) -> None:
    with init():
        pass
    with pytest.raises(Conflict, match="already"):
        init()
    # Nothing is left behind that would be in the way of another try.
    init(resume=True)


KILLED = """
import os, signal, sys
import numpy as np
import sondage

run = sondage.init(dataset="toy", run="r", labels=[0, 1, 2, 0, 1, 2], class_names=["a", "b", "c"],
                   channels=("loss",), url=sys.argv[1], spool=sys.argv[2], resume=True)
print(run.next_epoch, flush=True)
for epoch in range(run.next_epoch, 5):
    run.log(rows=np.arange(3), loss=np.full(3, float(epoch)))
    if epoch == int(sys.argv[3]):
        run._parts.outbox.wait_until_spooled(10)
        os.kill(os.getpid(), signal.SIGKILL)
    run.log(rows=np.arange(3, 6), loss=np.full(3, float(epoch)))
    run.end_epoch()
run.finish()
"""


def run_killed(url: str, spool: Path, kill_in: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, url, str(spool), str(kill_in)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("server_is_there", [True, False])
def test_killed_in_the_middle_of_an_epoch(server: FakeServer, tmp_path: Path, server_is_there: bool) -> None:
    """Epochs before it are whole, and the run goes on with the epoch that was under way."""
    if not server_is_there:
        server.stop()
    assert run_killed(server.url, tmp_path, 2).returncode == -signal.SIGKILL
    again = run_killed(server.url, tmp_path, 4)
    assert again.stdout.split() == ["2"]
    assert again.returncode == -signal.SIGKILL
    if not server_is_there:
        server.start()
    last = run_killed(server.url, tmp_path, -1)
    assert last.stdout.split() == ["4"], last.stderr
    assert recorded(server) == [0, 1, 2, 3, 4]
    assert not np.isnan(server.run.curves("loss")).any()
    assert list(tmp_path.iterdir()) == []


def test_sync_of_a_killed_run_leaves_it_open(server: FakeServer, tmp_path: Path, capsys: Any) -> None:
    server.stop()
    run_killed(server.url, tmp_path, 3)
    server.start()
    assert main(["sync", str(tmp_path)]) == 0
    assert "open" in capsys.readouterr().out
    assert server.run.state == "running"
    assert recorded(server) == [0, 1, 2]
    assert main(["sync", str(tmp_path), "--end", "aborted"]) == 0
    assert server.run.state == "aborted"
    assert list(tmp_path.iterdir()) == []


def test_sync_says_what_it_cannot_send(init: Init, server: FakeServer, tmp_path: Path, capsys: Any) -> None:
    run = init(channels=("loss",), mode="offline")
    record(run, 1, 2)
    run.finish()
    damaged = next((tmp_path / "spool").rglob("*-000001.epoch"))
    damaged.write_bytes(damaged.read_bytes()[:-40])
    assert main(["sync", str(tmp_path / "spool")]) == 1
    said = capsys.readouterr()
    assert "error: run r: " in said.err
    assert "checksum" in said.err
    assert recorded(server) == [1]
    assert main(["sync", str(tmp_path / "nowhere")]) == 2


def test_sync_leaves_a_run_that_is_being_recorded(init: Init, tmp_path: Path) -> None:
    run = init(channels=("loss",), mode="offline")
    record(run, 1)
    assert run._parts.outbox.wait_until_spooled(5)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from sondage.cli import main; sys.exit(main(sys.argv[1:]))",
         "sync", str(tmp_path / "spool")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert len(list((tmp_path / "spool").rglob("*.epoch"))) == 1


def test_a_forked_child_neither_sends_nor_ends_anything(init: Init, server: FakeServer) -> None:
    run = init(channels=("loss",))
    record(run, 1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover  # another process
        try:
            run.log(rows=[0], loss=np.array([9.0]))
        except sondage.InvalidInput as fault:
            os.write(writing, str(fault).encode())
        run._at_exit()
        os.write(writing, f" {threading.active_count()} thread".encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reading, 10_000).decode()
    assert "another process" in said
    assert said.endswith(" 1 thread")
    record(run, 2)
    run.finish()
    assert recorded(server) == [1, 2]


FORGETFUL = """
import sys
import numpy as np
import sondage

run = sondage.init(dataset="toy", run="r", labels=[0, 1, 2], channels=("loss",), url=sys.argv[1], spool=sys.argv[2])
for _ in range(2):
    run.log(rows=[0, 1, 2], loss=np.ones(3))
    run.end_epoch()
"""


def test_a_program_that_forgets_to_finish_loses_nothing(server: FakeServer, tmp_path: Path) -> None:
    server.stop()
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL, server.url, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "resume=True" in done.stderr
    assert len(list(tmp_path.rglob("*.epoch"))) == 2
