"""④ Suites: create from generators, upload known examples, delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from sondage.client.datasets import DatasetRef, Datasets
from sondage.client.http import Http
from sondage.client.members import Members, members_of
from sondage.client.problems import checked
from sondage.errors import NotFound
from sondage.wire import CategorySpec, Deleted, GeneratorSpec, Suite, SuiteCreate, SuiteUpload

SuiteRef: TypeAlias = Suite | int | str
"""A suite, its number, or its name, which means the newest version."""
DEFAULT = "default"


class Suites:
    """`client.suites`."""

    def __init__(self, http: Http, datasets: Datasets) -> None:
        self._http = http
        self._datasets = datasets

    def create(self, name: str, generators: Sequence[GeneratorSpec] | None = None, *, seed: int = 0) -> Suite:
        """A suite of generators, the default ones when none are given."""
        body = checked(SuiteCreate, name=name, generators=generators, seed=seed)
        return self._http.post(Suite, self._path(), body)

    def upload(
        self,
        members: Members,
        *,
        name: str,
        dataset: DatasetRef,
        categories: Mapping[str, bool | None] | None = None,
        seed: int = 0,
    ) -> Suite:
        """A suite of known examples, which serves runs that are recorded already.

        Parameters
        ----------
        members
            Keys of examples of the train split with their categories: pairs, a mapping of key to category, a
            pandas or Arrow table, or a `.csv` or `.parquet` file with the columns `key` and `category`.
        categories : mapping, optional
            Categories of the user's own: is the given label of such an example wrong? None: not applicable.
        seed : int
            Of the halves, fit and held out.

        Raises
        ------
        InvalidRows
            Unknown keys, unknown categories, a key in two categories; `rows` says which. Nothing was stored.
        """
        own = [
            checked(CategorySpec, name=name, wrong_label=wrong) for name, wrong in (categories or {}).items()
        ]
        body = checked(
            SuiteUpload,
            name=name,
            dataset_id=self._datasets.number(dataset),
            members=members_of(members),
            categories=own,
            seed=seed,
        )
        return self._http.post(Suite, self._path("upload"), body)

    def get(self, suite: SuiteRef) -> Suite:
        """By number or name. The suite `default` is made when it is first asked for, as by `runs.start`."""
        if isinstance(suite, str):
            return self._named(suite)
        return self._http.get(Suite, self._path(self.number(suite)))

    def _named(self, name: str) -> Suite:
        try:
            return self._http.newest_named(Suite, self._path(), name)
        except NotFound:
            if name != DEFAULT:
                raise
            return self.create(DEFAULT)

    def number(self, suite: SuiteRef) -> int:
        if isinstance(suite, str):
            return self.get(suite).id
        return suite if isinstance(suite, int) else suite.id

    def list(self, *, name: str | None = None, limit: int | None = None) -> Iterator[Suite]:
        """Newest first."""
        return self._http.pages(Suite, self._path(), limit=limit, name=name)

    def delete(self, suite: SuiteRef, *, cascade: bool = False, dry_run: bool = False) -> Deleted:
        """See `Datasets.delete`."""
        return self._http.delete(Deleted, self._path(self.number(suite)), cascade=cascade, dry_run=dry_run)

    def _path(self, *parts: object) -> str:
        return self._http.of_project("suites", *parts)
