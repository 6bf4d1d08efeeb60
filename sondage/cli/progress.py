"""⑥ Bars for long work, on standard error, on a terminal only."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from sondage.wire import Job

_WORDS = {"register": "registering", "train": "training", "tag": "tagging"}


class Bars:
    """One bar per job, and one for a file that is sent. `on_job` and `on_upload` are the client's callbacks."""

    def __init__(self) -> None:
        console = Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),  # a line of 80 columns holds all
            _Details(table_column=Column(no_wrap=True)),
            console=console,
            disable=not sys.stderr.isatty(),
        )
        self._bars: dict[int | str, TaskID] = {}

    def on_upload(self, sent: int, total: int) -> None:
        bar = self._bar("upload", "sending")
        self._progress.update(bar, completed=sent, total=total)

    def on_job(self, job: Job) -> None:
        words = details_of(job)
        bar = self._bar(job.id, f"{_WORDS[job.kind]} (job {job.id})")
        if job.state == "succeeded":
            total = job.progress.total or 1
            self._progress.update(bar, completed=total, total=total, details="done")
        else:
            self._progress.update(
                bar, completed=job.progress.done or 0, total=job.progress.total, details=words
            )

    def _bar(self, name: int | str, description: str) -> TaskID:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(description, total=None, details="")
        return self._bars[name]

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class _Details(ProgressColumn):
    """Megabytes of a file, or what a job says of itself."""

    _bytes = DownloadColumn()

    def render(self, task: Task) -> Text:
        if task.description == "sending":
            return self._bytes.render(task)
        return Text(str(task.fields.get("details", "")))


def details_of(job: Job) -> str:
    """How far a job is: `epoch 3 of 24 · 12,400 examples/s · 1:05 left`."""
    if job.state in ("queued", "failed", "aborted"):
        return job.state
    progress, extra = job.progress, job.progress.model_extra or {}
    parts = []
    if extra.get("epoch") is not None and extra.get("num_epochs") is not None:
        parts.append(f"epoch {int(extra['epoch']) + 1} of {int(extra['num_epochs'])}")
    elif extra.get("phase") is not None:
        parts.append(str(extra["phase"]))
    elif progress.unit == "share" and progress.done is not None:
        parts.append(f"{progress.done:.0%}")
    elif progress.done is not None and progress.total is not None:
        parts.append(f"{progress.done:,.0f} of {progress.total:,.0f} {progress.unit or ''}".rstrip())
    if progress.examples_per_second is not None:
        parts.append(f"{progress.examples_per_second:,.0f} examples/s")
    if progress.seconds_left is not None:
        parts.append(f"{clock(progress.seconds_left)} left")
    if job.attempt > 1:
        parts.append(f"attempt {job.attempt}")
    return " · ".join(parts) or job.state


def clock(seconds: float) -> str:
    """`1:05`, `2:03:04`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
