"""⑥ The client: one server, one project."""

from __future__ import annotations

import os
from os import PathLike
from types import TracebackType
from typing import Any

import httpx

from sondage.client.datasets import Datasets
from sondage.client.http import Http
from sondage.client.jobs import Jobs
from sondage.client.problems import checked
from sondage.client.recording import Recording
from sondage.client.runs import Runs
from sondage.client.scores import Scores
from sondage.client.suites import Suites
from sondage.client.taggings import TaggingRef, Taggings
from sondage.client.tags import Tags
from sondage.wire import Health, Project, ProjectCreate, Run

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """Speaks to a Sondage server. Use it as a context manager, or close it.

    Wherever a dataset, suite, run or tagging is asked for, its number, its name or the thing itself will do; a name
    means its newest version.

    Parameters
    ----------
    url : str, optional
        The server's address; `SONDAGE_URL`, or http://127.0.0.1:8000, when not given.
    key : str, optional
        `SONDAGE_KEY` when not given. A server on a loopback address needs none.
    project : str
    timeout_seconds : float
        For each read or write on the connection, not for a whole request.
    transport : httpx.BaseTransport, optional
        In place of the network, for tests.

    Raises
    ------
    InvalidInput
        The address is none.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        project: str = "default",
        *,
        timeout_seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.http = Http(
            url or os.environ.get("SONDAGE_URL") or DEFAULT_URL,
            key or os.environ.get("SONDAGE_KEY"),
            project,
            timeout_seconds=timeout_seconds,
            transport=transport,
        )
        self.jobs = Jobs(self.http)
        self.datasets = Datasets(self.http, self.jobs)
        self.suites = Suites(self.http, self.jobs, self.datasets)
        self.runs = Runs(self.http, self.jobs, self.datasets)
        self.taggings = Taggings(self.http, self.jobs, self.datasets, self.suites, self.runs)
        self.scores = Scores(self.http, self.datasets)
        self.recording = Recording(self.http, self.datasets)

    @property
    def url(self) -> str:
        return self.http.url

    @property
    def project(self) -> str:
        return self.http.project

    def health(self) -> Health:
        """Is the server well, and when did a worker last show itself?"""
        return self.http.get(Health, "/api/v1/health")

    def projects(self) -> list[Project]:
        return list(self.http.pages(Project, "/api/v1/projects"))

    def create_project(self, name: str) -> Project:
        return self.http.post(Project, "/api/v1/projects", checked(ProjectCreate, name=name))

    def tags(self, tagging: TaggingRef = "latest", **filters: Any) -> Tags:
        """The tags of a tagging, worst first. See `Taggings.tags` for the filters."""
        return self.taggings.tags(tagging, **filters)

    def import_records(self, file: str | PathLike[str], *, dataset: str, **options: Any) -> Run:
        """Make a finished run of a file of losses. See `sondage.client.records.import_records` for the options."""
        from sondage.client.records import import_records

        return import_records(self, file, dataset=dataset, **options)

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r}, project={self.project!r})"
