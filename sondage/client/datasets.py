"""① Datasets: register, look at, decide on, delete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Literal, TypeAlias, Unpack, overload

from sondage.client.http import Http, OnUpload
from sondage.client.jobs import Jobs, OnProgress
from sondage.client.problems import checked
from sondage.client.sources import InputsOptions, SourceOptions, source_of, usual_name
from sondage.errors import JobFailed
from sondage.wire import (
    Dataset,
    DatasetCreate,
    Decision,
    DecisionIn,
    DecisionWord,
    Deleted,
    Example,
    InputsAdd,
    Job,
    Page,
    Source,
)

Keys: TypeAlias = list[str]
Match: TypeAlias = Literal["key", "order"]
LabelCheck: TypeAlias = Literal["same", "ignore"]
DatasetRef: TypeAlias = Dataset | int | str
"""A dataset, its number, or its name, which means the newest version."""


class Datasets:
    """`client.datasets`."""

    def __init__(self, http: Http, jobs: Jobs) -> None:
        self._http = http
        self._jobs = jobs

    @overload
    def add(
        self,
        source: str | PathLike[str],
        *,
        name: str | None = None,
        server_path: bool = False,
        wait: Literal[True] = True,
        on_upload: OnUpload | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[SourceOptions],
    ) -> Dataset: ...

    @overload
    def add(
        self,
        source: str | PathLike[str],
        *,
        name: str | None = None,
        server_path: bool = False,
        wait: Literal[False],
        on_upload: OnUpload | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[SourceOptions],
    ) -> Job: ...

    def add(
        self,
        source: str | PathLike[str],
        *,
        name: str | None = None,
        server_path: bool = False,
        wait: bool = True,
        on_upload: OnUpload | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[SourceOptions],
    ) -> Dataset | Job:
        """Register a dataset. The same input under the same name is the version that is there already.

        Parameters
        ----------
        source : str or path
            `"digits"`, a local `.npz`, `.parquet` or `.csv` file, which is sent to the server, or, with
            `server_path`, a file or folder of images on the server.
        name : str, optional
            The file's name without its ending when not given.
        wait : bool
            Return the dataset when it is registered; else the job at once.
        on_upload : callable, optional
            Gets the bytes sent and the bytes in all.
        on_progress : callable, optional
            Gets the job about once a second while waiting.
        **options
            Fields of `sondage.wire.Source`: `kind`, `modality`, `label_column`, `key_column`, `split_column`,
            `input_columns`, `arrays`, `class_names`, `validation_share`, `limit`, `skip_invalid`, `noise`.

        Raises
        ------
        InvalidInput
            The file or an option is wrong. Nothing was sent.
        JobFailed
            What is in the file is wrong. Nothing was registered.
        """
        where = source_of(self._http, source, server_path=server_path, on_upload=on_upload, options=options)
        body = checked(DatasetCreate, name=name or usual_name(source), source=where)
        job = self._http.post(Job, self._path(), body)
        return self.registered(self._jobs.wait(job, on_progress=on_progress)) if wait else job

    @overload
    def add_inputs(
        self,
        dataset: DatasetRef,
        source: str | PathLike[str],
        *,
        match: Match = "key",
        labels: LabelCheck = "same",
        skip_unknown: bool = False,
        server_path: bool = False,
        wait: Literal[True] = True,
        on_upload: OnUpload | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[InputsOptions],
    ) -> Dataset: ...

    @overload
    def add_inputs(
        self,
        dataset: DatasetRef,
        source: str | PathLike[str],
        *,
        match: Match = "key",
        labels: LabelCheck = "same",
        skip_unknown: bool = False,
        server_path: bool = False,
        wait: Literal[False],
        on_upload: OnUpload | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[InputsOptions],
    ) -> Job: ...

    def add_inputs(
        self,
        dataset: DatasetRef,
        source: str | PathLike[str],
        *,
        match: Match = "key",
        labels: LabelCheck = "same",
        skip_unknown: bool = False,
        server_path: bool = False,
        wait: bool = True,
        on_upload: OnUpload | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[InputsOptions],
    ) -> Dataset | Job:
        """Give a dataset that was made of labels alone its inputs: pictures, texts, table rows or vectors.

        It stays the version that it is. Runs that were recorded on it show their examples from then on, and a worker
        can train on it. The same inputs again change nothing.

        Parameters
        ----------
        dataset
            Made by `sondage.init` or by importing records.
        source : str or path
            As for `add`.
        match : {"key", "order"}
            How rows are found: by their key, in any order; or in order, where there are as many as examples.
        labels : {"same", "ignore"}
            A label that is not the recorded one is an error; or labels are not looked at, and need not be there.
        skip_unknown : bool
            Leave out rows whose key the dataset has not.
        **options
            `kind`, `modality`, `label_column`, `key_column`, `split_column`, `input_columns`, `arrays`, `class_names`.

        Raises
        ------
        InvalidInput
            The file or an option is wrong. Nothing was sent.
        Conflict
            The dataset was registered with inputs.
        JobFailed
            Keys or labels do not fit, rows cannot be used, or there are other inputs. Nothing was added.
        """
        number = self.number(dataset)
        how = {"match": match, "labels": labels, "skip_unknown": skip_unknown}
        known = {name: value for name, value in options.items() if name != "kind"}
        checked(InputsAdd, source=checked(Source, kind="digits", **known), **how)
        where = source_of(self._http, source, server_path=server_path, on_upload=on_upload, options=options)
        job = self._http.post(Job, self._path(number, "inputs"), checked(InputsAdd, source=where, **how))
        return self.registered(self._jobs.wait(job, on_progress=on_progress)) if wait else job

    def registered(self, job: Job) -> Dataset:
        """The dataset that a job which has succeeded registered, or found to be there."""
        number = job.dataset_id or (job.result or {}).get("dataset_id")
        if number is None:
            raise JobFailed(f"Job {job.id} names no dataset: {job.result}.")
        return self.get(int(number))

    def get(self, dataset: DatasetRef) -> Dataset:
        if isinstance(dataset, str):
            return self._http.newest_named(Dataset, self._path(), dataset)
        return self._http.get(Dataset, self._path(self.number(dataset)))

    def number(self, dataset: DatasetRef) -> int:
        if isinstance(dataset, str):
            return self.get(dataset).id
        return dataset if isinstance(dataset, int) else dataset.id

    def list(self, *, name: str | None = None, limit: int | None = None) -> Iterator[Dataset]:
        """Newest first."""
        return self._http.pages(Dataset, self._path(), limit=limit, name=name)

    def examples(
        self,
        dataset: DatasetRef,
        *,
        label: str | int | None = None,
        split: str | None = None,
        key: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Example]:
        """In order of their index."""
        path = self._path(self.number(dataset), "examples")
        return self._http.pages(Example, path, limit=limit, label=label, split=split, key=key)

    def keys(self, dataset: DatasetRef) -> Keys:
        """The keys of all examples, in order of their index: a million of them in seconds.

        Raises
        ------
        Unavailable
            The answer broke off.
        """
        with self._http.download(self._path(self.number(dataset), "keys")) as pieces:
            content = b"".join(pieces)
        return content.decode().split("\n")[:-1]

    def example(self, dataset: DatasetRef, index: int) -> Example:
        return self._http.get(Example, self._path(self.number(dataset), "examples", index))

    def thumbnail(self, dataset: DatasetRef, index: int, *, size: int | None = None) -> bytes:
        """A PNG of one example."""
        path = self._path(self.number(dataset), "examples", index, "thumbnail")
        return self._http.fetch(path, size=size).content

    def decide(
        self,
        dataset: DatasetRef,
        index: int,
        decision: DecisionWord,
        *,
        label: int | None = None,
        note: str = "",
    ) -> Decision:
        """Say what is to be done about one example; the newest decision counts."""
        body = checked(DecisionIn, index=index, decision=decision, label=label, note=note)
        return self.decide_all(dataset, [body])[0]

    def decide_all(self, dataset: DatasetRef, decisions: Iterable[DecisionIn]) -> tuple[Decision, ...]:
        """All of them, or none where one is wrong.

        Raises
        ------
        InvalidRows
            With the wrong ones.
        """
        path = self._path(self.number(dataset), "decisions")
        return tuple(self._http.post(Page[Decision], path, list(decisions)).items)

    def decisions(self, dataset: DatasetRef, *, limit: int | None = None) -> Iterator[Decision]:
        """Newest first."""
        return self._http.pages(Decision, self._path(self.number(dataset), "decisions"), limit=limit)

    def delete(self, dataset: DatasetRef, *, cascade: bool = False, dry_run: bool = False) -> Deleted:
        """Delete a version; `cascade` also what depends on it; `dry_run` only names that.

        Raises
        ------
        Conflict
            Something depends on it, or a job is at work on it.
        """
        path = self._path(self.number(dataset))
        return self._http.delete(Deleted, path, cascade=cascade, dry_run=dry_run)

    def _path(self, *parts: object) -> str:
        return self._http.of_project("datasets", *parts)
