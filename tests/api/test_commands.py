"""`python -m app`, for real: serving, ending, keys; and the worker beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from sqlalchemy import make_url

from app import worker_process
from app.__main__ import main
from app.worker_process import WorkerProcess
from store.engine import Database

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0


@pytest.fixture
def environment(database: Database, tmp_path: Path) -> dict[str, str]:
    url = make_url(database.engine.url).render_as_string(hide_password=False)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SONDAGE_")}
    return kept | {
        "SONDAGE_DATABASE_URL": url,
        "SONDAGE_DATA_DIR": str(tmp_path / "data"),
        "PYTHONUNBUFFERED": "1",
    }


def run(environment: dict[str, str], *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=environment | more, capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=environment | more, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def address_of(process: subprocess.Popen[str]) -> str:
    """Reads the log up to the line that says where it serves."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "serving http://" in line:
            return line.partition("serving ")[2].split()[0]
    raise AssertionError(said)


def health(url: str) -> dict[str, object]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urlopen(f"{url}/api/v1/health") as response:  # noqa: S310  # our own server
                return dict(json.load(response))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_serves_until_it_is_told_to_stop(
    start: Callable[..., subprocess.Popen[str]], number: int, code: int
) -> None:
    process = start("serve", "--port", "0")
    assert health(address_of(process))["status"] == "ok"
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    assert "Traceback" not in output


def test_up_serves_with_a_worker_and_takes_it_along(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("up", "--port", "0")
    url = address_of(process)
    until(lambda: health(url)["worker_seen_at"] is not None)
    workers = psutil.Process(process.pid).children()
    assert [worker.cmdline()[1:3] for worker in workers] == [["-m", "worker"]]
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert not any(worker.is_running() for worker in workers)


def test_a_killed_server_takes_its_worker_along(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("up", "--port", "0")
    url = address_of(process)
    until(lambda: health(url)["worker_seen_at"] is not None)
    (worker,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_the_embedded_database_comes_and_goes_with_it(
    environment: dict[str, str], start: Callable[..., subprocess.Popen[str]], short_folder: Path
) -> None:
    folder = short_folder / "embedded"
    del environment["SONDAGE_DATABASE_URL"]
    process = start("serve", "--port", "0", SONDAGE_DATA_DIR=str(folder))
    assert health(address_of(process))["database"] == "ok"
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)
    until(lambda: not any(folder.glob("postgres/.s.PGSQL.*")))


def test_a_port_in_use_is_told(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(environment, "serve", "--port", port)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "SONDAGE_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_others_are_not_served_without_a_key(
    environment: dict[str, str], start: Callable[..., subprocess.Popen[str]]
) -> None:
    anywhere = ("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104  # what is tested
    refused = run(environment, *anywhere)
    assert refused.returncode == 1
    assert "python -m app keys create" in refused.stderr
    secret = run(environment, "keys", "create", "--name", "me", "--scopes", "read").stdout.strip()
    assert secret.startswith("sdg_")
    url = address_of(start(*anywhere)).replace("0.0.0.0", "127.0.0.1")  # noqa: S104  # the same
    assert health(url)["status"] == "ok"


def test_keys_are_made_listed_and_revoked(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SONDAGE_DATABASE_URL", "SONDAGE_DATA_DIR"):
        monkeypatch.setenv(name, environment[name])

    def keys(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert main(["keys", *arguments]) == code
        return capsys.readouterr()

    secret, said = keys("create", "--name", "reader", "--scopes", "read", "--project", "mine")
    assert secret.startswith("sdg_")
    assert secret.strip() not in said
    listed, _ = keys("list")
    assert "reader" in listed
    assert secret.strip() not in listed
    assert "living" in listed
    keys("revoke", "1")
    assert "revoked" in keys("list")[0]
    assert "no living key" in keys("revoke", "1", code=1)[1]
    _, wrong = keys("create", "--name", "x", "--scopes", "everything", code=2)
    assert "read, record, review, admin" in wrong


def test_wrong_settings_are_named(environment: dict[str, str]) -> None:
    done = run(environment, "serve", SONDAGE_PORT="many")
    assert done.returncode == 2
    assert "SONDAGE_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unmigrated_database_is_left_alone_and_then_migrated(
    environment: dict[str, str], postgres_url: str
) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    name = "test_bare"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    bare = {
        "SONDAGE_DATABASE_URL": make_url(postgres_url)
        .set(database=name)
        .render_as_string(hide_password=False)
    }
    refused = run(environment, "serve", "--port", "0", **bare)
    assert refused.returncode == 1
    assert "migrate" in refused.stderr
    assert run(environment, "migrate", **bare).returncode == 0
    assert run(environment, "keys", "list", **bare).returncode == 0
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def test_a_worker_that_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "FIRST_PAUSE_SECONDS", 0.01)
    starts = tmp_path / "starts"
    script = f"open({str(starts)!r}, 'a').write('x'); import time; time.sleep(0.05)"
    with WorkerProcess((sys.executable, "-c", script)):
        until(lambda: starts.exists() and len(starts.read_text()) >= 3)


def test_a_worker_that_does_not_stop_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "GRACE_SECONDS", 0.5)
    script = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal, time;"
        " signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)']);"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    with WorkerProcess((sys.executable, "-c", script)):
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        assert child.is_running()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
