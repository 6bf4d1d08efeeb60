"""⑤ Taggings: tag by the curves of some runs, read tags, reports and reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

from sondage.client.datasets import DatasetRef, Datasets
from sondage.client.http import Http
from sondage.client.jobs import Jobs, OnProgress
from sondage.client.problems import checked
from sondage.client.reviews import Reviews
from sondage.client.runs import RunRef, Runs
from sondage.client.suites import SuiteRef, Suites
from sondage.client.tagging_wait import wait_for_tagging
from sondage.client.tags import Tags
from sondage.errors import NotFound
from sondage.wire import (
    Deleted,
    Explanation,
    Report,
    Run,
    Tag,
    TagChange,
    Tagging,
    TaggingComparison,
    TaggingCreate,
)

TaggingRef: TypeAlias = Tagging | int | str
"""A tagging, its number, `"latest"`, or the name of a dataset or of runs, which means their newest one."""
LATEST = "latest"
USUAL_SUITE = "default"


class Taggings:
    """`client.taggings`."""

    def __init__(self, http: Http, jobs: Jobs, datasets: Datasets, suites: Suites, runs: Runs) -> None:
        self._http = http
        self._jobs = jobs
        self._datasets = datasets
        self._suites = suites
        self._runs = runs

    def create(
        self,
        runs: RunRef | Sequence[RunRef],
        *,
        suite: SuiteRef | None = None,
        tagger: Literal["evidence", "reference"] = "evidence",
        k: int | None = None,
        epochs: int | None = None,
        now: bool = False,
        wait: bool = True,
        on_progress: OnProgress | None = None,
    ) -> Tagging:
        """Tag by the curves of runs of one dataset version.

        Parameters
        ----------
        runs
            One or more; a name that was given to `runs.start` stands for all its seeds.
        suite : optional
            The suite planted in the runs when not given.
        tagger : {"evidence", "reference"}
            What the list is ordered by: evidence against the label, or the votes alone, as in the paper.
        k : int, optional
            Neighbours; from the suite's size when not given.
        epochs : int, optional
            Look at the first so many complete epochs alone, of runs that are still going too. All of them, when the
            last run has finished, when not given.
        now : bool
            Instead: look at as many epochs as are complete in every run now.
        wait : bool
            Return when it is finished, else at once.
        """
        asked = [runs] if isinstance(runs, Run | int | str) else runs
        chosen = [run.id for ref in asked for run in self._runs.named(ref)]
        suite_id = self._suite_id(suite)
        run_ids = list(dict.fromkeys(chosen))
        body = checked(
            TaggingCreate, run_ids=run_ids, suite_id=suite_id, tagger=tagger, k=k, epochs=epochs, now=now
        )
        tagging = self._http.post(Tagging, self._path(), body)
        return self.wait(tagging, on_progress=on_progress) if wait else tagging

    def _suite_id(self, suite: SuiteRef | None) -> int | None:
        """None, the suite planted in the runs, stands for the usual one where the server has not made it yet."""
        try:
            return None if suite is None else self._suites.number(suite)
        except NotFound:
            if suite == USUAL_SUITE:
                return None
            raise

    def wait(self, tagging: Tagging | int, *, on_progress: OnProgress | None = None) -> Tagging:
        """Wait until it is finished. Raises JobFailed or JobAborted when it does not get there."""
        number = tagging if isinstance(tagging, int) else tagging.id
        return wait_for_tagging(self._http, self._jobs, number, on_progress)

    def get(self, tagging: TaggingRef) -> Tagging:
        if isinstance(tagging, str):
            return self._newest(tagging)
        return self._http.get(Tagging, self._path(self.number(tagging)))

    def number(self, tagging: TaggingRef) -> int:
        if isinstance(tagging, str):
            return self.get(tagging).id
        return tagging if isinstance(tagging, int) else tagging.id

    def _newest(self, name: str) -> Tagging:
        """The newest finished one, else the newest: a tagging under way has no tags yet."""
        found = list(self._of(name))
        finished = [tagging for tagging in found if tagging.state == "finished"]
        if not found:
            raise NotFound(
                f"There is no tagging of {name!r} in project {self._http.project!r}. `sondage tagging list` shows "
                "what there is."
            )
        return (finished or found)[0]

    def _of(self, name: str) -> Iterator[Tagging]:
        if name == LATEST:
            return self.list()
        try:
            return self.list(dataset=name)
        except NotFound:
            runs = {run.id for run in self._runs.named(name)}
            return (tagging for tagging in self.list() if runs.intersection(tagging.run_ids))

    def list(self, *, dataset: DatasetRef | None = None, limit: int | None = None) -> Iterator[Tagging]:
        """Newest first."""
        number = None if dataset is None else self._datasets.number(dataset)
        return self._http.pages(Tagging, self._path(), limit=limit, dataset_id=number)

    def tags(
        self,
        tagging: TaggingRef = LATEST,
        *,
        tag: str | None = None,
        label: str | int | None = None,
        suggested_label: str | int | None = None,
        min_suspicion: float | None = None,
        max_suspicion: float | None = None,
        decision: str | None = None,
        in_all_seeds: bool | None = None,
        threshold: float | None = None,
        order_by: str = "suspicion",
        limit: int | None = None,
    ) -> Tags:
        """The tags under a filter: iterate, or ask for a table or a file.

        Parameters
        ----------
        tag : str, optional
            A category, or `unsure`.
        label, suggested_label : str or int, optional
            A class, by its name or number.
        min_suspicion, max_suspicion : float, optional
            0…1, 1 is bad.
        decision : str, optional
            keep, relabel, exclude or unsure; `none` for those that nobody has decided on.
        in_all_seeds : bool, optional
            Only examples that two runs at least trained and whose tag is the same in all of them; False: not in all.
            Not together with another threshold than the tagging's own, nor once reviews have moved the tags.
        threshold : float, optional
            0…1: tagged as wrong is what is wrong with a chance above it; `facets().threshold` says how many that are
            and how many of them are expected to be wrong. Without it, the tags as they were made; once there are
            reviews, at 0.5.
        order_by : str
            `suspicion`, worst first; `index`; or the name of a score, its bad end first.
        limit : int, optional
            At most so many.
        """
        filters: dict[str, Any] = {
            "tag": tag,
            "label": label,
            "suggested_label": suggested_label,
            "min_suspicion": min_suspicion,
            "max_suspicion": max_suspicion,
            "decision": decision,
            "in_all_seeds": in_all_seeds,
            "threshold": threshold,
        }
        given = {name: value for name, value in filters.items() if value is not None}
        return Tags(self.number(tagging), given, order_by, limit, self._http)

    def tag(self, tagging: TaggingRef, index: int, *, threshold: float | None = None) -> Tag:
        """What it says of one example."""
        path = self._path(self.number(tagging), "tags", index)
        return self._http.get(Tag, path, threshold=threshold)

    def report(self, tagging: TaggingRef = LATEST) -> Report:
        """How well held-out probes are told apart, and when each category is learned."""
        return self._http.get(Report, self._path(self.number(tagging), "report"))

    def reviews(self, tagging: TaggingRef = LATEST) -> Reviews:
        """The sample to review, and what its reviews say: how many labels are wrong, with intervals."""
        return Reviews(self.number(tagging), self._http)

    def explanation(
        self,
        tagging: TaggingRef,
        index: int,
        *,
        run: RunRef | None = None,
        channel: str | None = None,
        threshold: float | None = None,
    ) -> Explanation:
        """Why an example has its tag: a sentence, its curve, the bands of the categories, its nearest probes.

        The sentence is of all runs that trained the example; `run` and `channel` choose the curves. `threshold` is that
        of `tags`.
        """
        path = self._path(self.number(tagging), "tags", index, "explanation")
        run_id = None if run is None else self._runs.number(run)
        return self._http.get(Explanation, path, run_id=run_id, channel=channel, threshold=threshold)

    def compare(self, tagging: TaggingRef, other: TaggingRef) -> TaggingComparison:
        """What changed from one tagging to another of the same dataset version: tags, ranking, the top of the list."""
        return self._http.get(TaggingComparison, self._path(*self._both(tagging, other)))

    def changes(
        self,
        tagging: TaggingRef,
        other: TaggingRef,
        *,
        tag: str | None = None,
        other_tag: str | None = None,
        limit: int | None = None,
    ) -> Iterator[TagChange]:
        """The examples that moved furthest in the list; `tag` and `other_tag` name their tags here and there."""
        path = self._path(*self._both(tagging, other), "changes")
        return self._http.pages(TagChange, path, limit=limit, tag=tag, other_tag=other_tag)

    def _both(self, tagging: TaggingRef, other: TaggingRef) -> tuple[object, ...]:
        return self.number(tagging), "compare", self.number(other)

    def delete(self, tagging: TaggingRef, *, cascade: bool = False, dry_run: bool = False) -> Deleted:
        """See `Datasets.delete`."""
        path = self._path(self.number(tagging))
        return self._http.delete(Deleted, path, cascade=cascade, dry_run=dry_run)

    def _path(self, *parts: object) -> str:
        return self._http.of_project("taggings", *parts)
