"""④ Suites: create from generators, upload known examples or examples of one's own, delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack, overload

from sondage.client.datasets import DatasetRef, Datasets
from sondage.client.http import Http, OnUpload
from sondage.client.jobs import Jobs, OnProgress
from sondage.client.members import Members, members_of
from sondage.client.problems import checked
from sondage.client.sources import SourceOptions, source_of
from sondage.errors import NotFound
from sondage.wire import (
    CategorySpec,
    Deleted,
    GeneratorSpec,
    Job,
    Source,
    Suite,
    SuiteCreate,
    SuiteExamples,
    SuiteUpload,
)

if TYPE_CHECKING:
    from sondage.probes.own import OwnSuite

SuiteRef: TypeAlias = Suite | int | str
"""A suite, its number, or its name, which means the newest version."""
DEFAULT = "default"


class ExamplesOptions(SourceOptions, total=False):
    """What `upload_examples` takes beside the fields of a source."""

    category: str | None
    category_column: str | None
    categories: Mapping[str, bool | None] | None
    generators: Sequence[GeneratorSpec]
    label_names: Mapping[str, str]
    random_labels: bool
    seed: int
    server_path: bool
    on_upload: OnUpload | None
    on_progress: OnProgress | None


class Suites:
    """`client.suites`."""

    def __init__(self, http: Http, jobs: Jobs, datasets: Datasets) -> None:
        self._http = http
        self._jobs = jobs
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

    @overload
    def upload_examples(
        self,
        source: str | PathLike[str],
        *,
        name: str,
        dataset: DatasetRef,
        wait: Literal[True] = True,
        **options: Unpack[ExamplesOptions],
    ) -> Suite: ...

    @overload
    def upload_examples(
        self,
        source: str | PathLike[str],
        *,
        name: str,
        dataset: DatasetRef,
        wait: Literal[False],
        **options: Unpack[ExamplesOptions],
    ) -> Job: ...

    def upload_examples(
        self,
        source: str | PathLike[str],
        *,
        name: str,
        dataset: DatasetRef,
        wait: bool = True,
        **options: Unpack[ExamplesOptions],
    ) -> Suite | Job:
        """A suite of examples of your own, which no dataset holds: they are planted in trainings to come.

        Parameters
        ----------
        source : str or path
            A file or folder, as of `datasets.add`. Its labels are classes of the dataset, by name or number.
        dataset
            Whose classes and inputs they have to fit. The suite serves its other versions as well.
        wait : bool
            Return the suite when the examples are read; else the job at once.
        **options
            `category`: of all of them; else a column `category` says it (`category_column` names another; in an
            `.npz`, the array `categories_train`). `categories`: those of your own, as of `upload`. `generators`:
            planted or chosen beside them. `label_names`: the source's word for a label to the dataset's class.
            `random_labels`: drawn over the classes, for foreign inputs. `seed`. `server_path`, `on_upload`,
            `on_progress` and fields of `sondage.wire.Source`, as of `datasets.add`.

        Raises
        ------
        InvalidInput
            The file or an option is wrong. Nothing was stored.
        JobFailed
            Some rows are wrong or do not fit the dataset: each is named. Nothing was stored.
        """
        given: dict[str, Any] = dict(options)
        on_progress = given.pop("on_progress", None)
        where = source_of(
            self._http,
            source,
            server_path=given.pop("server_path", False),
            on_upload=given.pop("on_upload", None),
            options={key: given.pop(key) for key in list(given) if key in Source.model_fields},  # type: ignore[arg-type]  # checked there
        )
        own = (given.pop("categories", None) or {}).items()
        body = checked(
            SuiteExamples,
            name=name,
            dataset_id=self._datasets.number(dataset),
            source=where,
            categories=[checked(CategorySpec, name=word, wrong_label=wrong) for word, wrong in own],
            **given,
        )
        job = self._http.post(Job, self._path("examples"), body)
        return self.made_by(self._jobs.wait(job, on_progress=on_progress)) if wait else job

    def made_by(self, job: Job) -> Suite:
        """The suite that a job which has succeeded made of examples, or found to be there."""
        return self.get(int((job.result or {})["suite_id"]))

    def load(self, suite: SuiteRef) -> OwnSuite:
        """A suite with its own examples, to be planted in a loop of your own: `plant(dataset, client.suites.load(…))`.

        Raises
        ------
        InvalidInput
            The suite brings none along: `get` it.
        """
        from sondage.client.own_examples import own_suite

        number = self.number(suite)
        return own_suite(self._http.fetch(self._path(number, "examples")).content, number)

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
