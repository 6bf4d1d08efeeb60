"""What a job's bar says."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from sondage.cli.progress import Bars, clock, details_of
from sondage.wire import Job, Progress


def job(state: str = "running", attempt: int = 1, **progress: Any) -> Job:
    return Job(
        id=3,
        kind="train",
        state=state,  # type: ignore[arg-type]
        attempt=attempt,
        progress=Progress(**progress),
        error=None,
        result=None,
        dataset_id=None,
        run_id=1,
        tagging_id=None,
        abort_requested=False,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
        started_at=None,
        finished_at=None,
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            job(epoch=2, num_epochs=24, done=2.5, total=24, examples_per_second=12400.4, seconds_left=65.2),
            "epoch 3 of 24 · 12,400 examples/s · 1:05 left",
        ),
        (job(unit="share", done=0.337, total=1.0), "34%"),
        (job(unit="phase", phase="reading"), "reading"),
        (job(unit="rows", done=1500, total=3000), "1,500 of 3,000 rows"),
        (job("queued"), "queued"),
        (job(), "running"),
        (job(attempt=2, unit="phase", phase="reading"), "reading · attempt 2"),
    ],
)
def test_details_are_what_the_job_said(found: Job, words: str) -> None:
    assert details_of(found) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (59.6, "1:00"), (65, "1:05"), (7384, "2:03:04"), (-1, "0:00")]
)
def test_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_are_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with Bars() as bars:
        bars.on_upload(5_000_000, 10_000_000)
        bars.on_job(
            job(epoch=2, num_epochs=24, done=2.5, total=24, examples_per_second=99999, seconds_left=3599)
        )
        bars.on_job(job("succeeded"))
    drawn = terminal.getvalue()
    assert "training (job 3)" in drawn
    assert "5.0/10.0 MB" in drawn
    assert "done" in drawn


def test_nothing_is_drawn_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Bars() as bars:
        bars.on_upload(1, 2)
        bars.on_job(job(epoch=1, num_epochs=2, done=1, total=2))
    said = capsys.readouterr()
    assert said.out + said.err == ""
