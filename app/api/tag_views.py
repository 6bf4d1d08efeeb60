"""⑤ Tags as people see them: names for numbers, scores, decisions and inputs beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app.api.classes import label_name, label_number
from app.api.tag_thresholds import TagThreshold
from app.api.taggings import finished_tagging
from app.api.urls import picture_url
from app.columns import worst_first
from app.deps import Server
from sondage.errors import InvalidInput
from sondage.wire import Tag
from store import datasets, decisions, examples, scores, taggings, tags
from store import tables as t

UNSURE = "unsure"
INPUTS = frozenset({"text", "values"})


@dataclass(frozen=True)
class TagView:
    """One finished tagging with all that is needed to answer for its tags."""

    session: Session
    server: Server
    project: t.Project
    tagging: t.Tagging
    dataset: t.Dataset
    scores: dict[str, t.Score]
    """Those averaged over the tagging's runs, by method."""
    threshold: TagThreshold
    """Of P(wrong), for a tag that says so."""

    @classmethod
    def open(
        cls,
        session: Session,
        server: Server,
        project: t.Project,
        tagging_id: int,
        threshold: float | None = None,
    ) -> TagView:
        """At a threshold of P(wrong), or the tagging's own.

        Raises
        ------
        NotFound, Conflict
            There is no such tagging, or it has no tags yet.
        InvalidInput
            A threshold where nothing says how likely a label is wrong.
        """
        tagging = finished_tagging(session, project, tagging_id)
        dataset = datasets.get(session, project_id=project.id, dataset_id=tagging.dataset_id)
        run_ids = taggings.run_ids(session, tagging_ids=[tagging.id])[tagging.id]
        epochs = tagging.parameters.get(taggings.EPOCHS)
        found = scores.of_runs(session, dataset_id=dataset.id, run_ids=run_ids, epochs=epochs)
        at = TagThreshold.of(session, tagging, threshold)
        return cls(session, server, project, tagging, dataset, found, at)

    def as_made(self) -> TagView:
        """With the tags that the tagging gave, whatever reviews have said since."""
        return replace(self, threshold=replace(self.threshold, moved=None))

    def where(
        self,
        *,
        tag: str | None = None,
        label: str | None = None,
        suggested_label: str | None = None,
        min_suspicion: float | None = None,
        max_suspicion: float | None = None,
        decision: str | None = None,
        in_all_seeds: bool | None = None,
    ) -> tags.Filter:
        """The store's filter, of names."""
        return tags.Filter(
            tag=self.tag_number(tag),
            label=label_number(self.dataset, label),
            suggested_label=label_number(self.dataset, suggested_label, field="suggested_label"),
            min_suspicion=min_suspicion,
            max_suspicion=max_suspicion,
            decision=decision,
            in_all_seeds=self._seeds(in_all_seeds),
            moved=self.threshold.moved,
        )

    def page(
        self, where: tags.Filter, *, order_by: str, after: int | None, limit: int
    ) -> tuple[Sequence[t.Tag], int | None]:
        """By `suspicion`, by `index`, or by the name of a score; worst first.

        Raises
        ------
        InvalidInput
            There is no such order.
        """
        number, dataset_id = self.tagging.id, self.dataset.id
        if order_by in ("suspicion", "index"):
            return tags.listed(
                self.session,
                tagging_id=number,
                dataset_id=dataset_id,
                where=where,
                order_by=order_by,
                after=after,
                limit=limit,
            )
        score = self._score(order_by)
        column = self.server.columns.score(self.session, score_id=score.id)
        indices = self._matching(where)
        page, place = worst_first(column, indices, bad_end=score.bad_end, after=after, limit=limit)
        return tags.of_indices(self.session, tagging_id=number, indices=page), place

    def answers(self, found: Sequence[t.Tag], *, inputs: bool = True) -> list[Tag]:
        """Bodies of the wire. Without `inputs`, texts and values are left out, and no payload is read."""
        indices = [tag.index for tag in found]
        keys = examples.keys(self.session, dataset_id=self.dataset.id, indices=indices)
        decided = decisions.newest(self.session, dataset_id=self.dataset.id, indices=indices)
        columns = self._columns(indices)
        chances = self.threshold.chances(found)
        return [
            Tag(
                index=tag.index,
                key=keys[tag.index],
                tag=self.tag_name(self.threshold.number(tag)),
                suspicion=tag.suspicion,
                calibration=self.tagging.calibration,  # type: ignore[arg-type]  # the table's constraint has the words
                probability_wrong=chances[place],
                position=tag.position,
                label=tag.label,
                label_name=label_name(self.dataset, tag.label),
                suggested_label=tag.suggested_label,
                suggested_label_name=self._optional_name(tag.suggested_label),
                displaced=tag.displaced,
                runs_trained=tag.runs_trained,
                runs_agreeing=tag.runs_agreeing if self.threshold.number(tag) == tag.tag else None,
                probabilities=self._probabilities(tag),
                scores={method: values[place] for method, values in columns.items()},
                decision=decided[tag.index].decision if tag.index in decided else None,  # type: ignore[arg-type]  # as above
                picture_url=picture_url(self.project, self.dataset, tag.index),
                **(self.server.payloads.preview(self.dataset, tag.index) if inputs else {}),
            )
            for place, tag in enumerate(found)
        ]

    def limited(self, answers: Sequence[Tag], fields: Collection[str]) -> list[dict[str, Any]]:
        """Only these fields of each, and always `index`."""
        unknown = sorted(set(fields) - set(Tag.model_fields))
        if unknown:
            there = ", ".join(Tag.model_fields)
            raise InvalidInput(f"A tag has no field {unknown[0]!r}; its fields: {there}.", field="fields")
        return [tag.model_dump(mode="json", include={*fields, "index"}) for tag in answers]

    def tag_name(self, number: int) -> str:
        return self.tagging.categories[number] if number >= 0 else UNSURE

    def label_name(self, number: int) -> str:
        return label_name(self.dataset, number)

    def tag_number(self, name: str | None, *, field: str = "tag") -> int | None:
        if name is None or name in self.tagging.categories:
            return None if name is None else self.tagging.categories.index(name)
        if name == UNSURE:
            return tags.UNSURE
        there = ", ".join([*self.tagging.categories, UNSURE])
        raise InvalidInput(f"There is no tag {name!r} in this tagging; there are: {there}.", field=field)

    def _seeds(self, wanted: bool | None) -> bool | None:
        if (
            wanted is not None
            and len(taggings.run_ids(self.session, tagging_ids=[self.tagging.id])[self.tagging.id]) < 2
        ):
            raise InvalidInput(
                f"Tagging {self.tagging.id} is of one run, which agrees with itself: tag by two seeds.",
                field="in_all_seeds",
            )
        if wanted is not None and self.threshold.moves:
            raise InvalidInput(self._not_counted(), field="in_all_seeds")
        return wanted

    def _not_counted(self) -> str:
        """Why the agreement of seeds is not known, and what to do."""
        counted = f"In how many seeds a tag of tagging {self.tagging.id} is the same is known of the tags as written"
        if self.tagging.calibration == "reviews":
            return (
                f"{counted}, and reviews have moved them since. Leave in_all_seeds out, or tag the same runs again and "
                "filter the new tagging before it is calibrated by reviews."
            )
        return (
            f"{counted}; a threshold of {self.threshold.threshold:g} moves them. Leave out either of the two."
        )

    def _matching(self, where: tags.Filter) -> NDArray[np.int64]:
        """The examples under a filter. What only the tags decide is kept; decisions are looked up each time."""
        number, dataset_id = self.tagging.id, self.dataset.id
        of_tags = replace(where, decision=None)
        indices = self.server.columns.indices(
            number,
            of_tags,
            lambda: tags.matching_indices(
                self.session, tagging_id=number, dataset_id=dataset_id, where=of_tags
            ),
        )
        if where.decision is None:
            return indices
        decided = decisions.decided(
            self.session, dataset_id=dataset_id, word=None if where.decision == "none" else where.decision
        )
        return indices[np.isin(indices, decided, invert=where.decision == "none")]

    def _score(self, method: str) -> t.Score:
        if method not in self.scores:
            orders = ", ".join(["suspicion", "index", *sorted(self.scores)])
            raise InvalidInput(f"Tags are ordered by one of {orders}, not by {method!r}.", field="order_by")
        return self.scores[method]

    def _columns(self, indices: Sequence[int]) -> dict[str, list[float | None]]:
        """Per method, the scores of these examples."""
        found = {}
        for method in sorted(self.scores):
            values = self.server.columns.score(self.session, score_id=self.scores[method].id)[list(indices)]
            found[method] = [float(value) if np.isfinite(value) else None for value in values]
        return found

    def _optional_name(self, label: int | None) -> str | None:
        return None if label is None else label_name(self.dataset, label)

    def _probabilities(self, tag: t.Tag) -> dict[str, float] | None:
        if tag.probabilities is None:
            return None
        return dict(zip(self.tagging.categories, tag.probabilities, strict=True))
