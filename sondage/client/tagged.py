"""⑤ The tags of a run that was recorded: asked for now, there later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sondage.client.client import Client
from sondage.client.jobs import OnProgress
from sondage.client.tags import Tags
from sondage.wire import Report, Tagging


@dataclass(frozen=True)
class PendingTags:
    """A tagging that was asked for."""

    client: Client
    tagging: Tagging

    @classmethod
    def create(cls, client: Client, run: str, *, suite: str | int | None, k: int | None) -> PendingTags:
        return cls(client, client.taggings.create(run, suite=suite, k=k, wait=False))

    def wait(self, *, on_progress: OnProgress | None = None) -> TaggedRun:
        """Wait until it is there. Raises JobFailed or JobAborted when it does not get there."""
        tagging = self.client.taggings.wait(self.tagging, on_progress=on_progress)
        return TaggedRun(self.client, tagging)


@dataclass(frozen=True)
class TaggedRun:
    """A finished tagging."""

    client: Client
    tagging: Tagging

    @property
    def tags(self) -> Tags:
        """The tags, worst first: iterate, or ask for a table or a file."""
        return self.client.tags(self.tagging)

    @property
    def report(self) -> Report:
        """How well held-out probes are told apart."""
        return self.client.taggings.report(self.tagging)

    def to_pandas(self) -> Any:
        """Tag, suspicion, suggested label and probability per category as a `pandas.DataFrame`, worst first."""
        return self.tags.to_pandas()
