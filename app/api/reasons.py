"""⑤ The facts behind an example's tag and place, from the store; `sondage.tagging.sentence` puts them into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.api.classes import label_name
from app.api.curve_reader import CurveReader, by_training
from app.api.tag_views import TagView
from sondage.errors import NotFound
from sondage.probes.suite import SuiteDefinition
from sondage.tagging.reference import usual_k
from sondage.tagging.sentence import Facts, Grounds, Pair
from store import curves, suites, taggings
from store.tables import Tag


def facts_of(view: TagView, tag: Tag, shown: CurveReader) -> Facts:
    """Over all runs that trained the example, whichever is shown; where none did, over those that scored it."""
    run_ids = taggings.run_ids(view.session, tagging_ids=[view.tagging.id])[view.tagging.id]
    trained, scored = by_training(view, run_ids, tag.index)
    counted = [
        shown if run_id == shown.run_id else CurveReader.open(view, run_id, tag.index)
        for run_id in trained or scored
    ]
    predicted = [_predicted(view, reader) for reader in counted]
    definition = SuiteDefinition.from_dict(
        suites.get(view.session, project_id=view.project.id, suite_id=view.tagging.suite_id).definition
    )
    votes: Counter[str] = Counter()
    for reader in counted:
        votes.update(reader.probes[place].category for place, _ in reader.nearest(_k(view, run_ids, reader)))
    return Facts(
        given=label_name(view.dataset, tag.label),
        # In the order of the categories, which decides between equal ones here as in the tag.
        votes={name: votes[name] for name in view.tagging.categories if votes[name]},
        num_runs=len(counted),
        predicted=[[_name(view, number) for number in run] for run in predicted],
        trained=bool(trained),
        wrong_label={name: category.wrong_label for name, category in definition.known_categories().items()},
        tag=view.tag_name(view.threshold.number(tag)),
        position=None if tag.suspicion is None else tag.position,
        num_ranked=view.dataset.splits.get("train", 0),
        grounds=_grounds(view, tag, run_ids, predicted) if view.tagging.tagger == "evidence" else None,
        known=not _all_flipped(definition),
        ordinary=len(run_ids) == 1 and any(g.name == "prototypical" for g in definition.generators),
    )


def _k(view: TagView, run_ids: Sequence[int], reader: CurveReader) -> int:
    """The k that the tagging used in this run; taggings of old reports do not say it."""
    of_runs = (view.tagging.report or {}).get("runs", [])
    place = run_ids.index(reader.run_id)
    if place < len(of_runs):
        return int(of_runs[place]["k"])
    fit = np.array([probe.category for probe in reader.probes if probe.role == "fit"])
    return int(view.tagging.parameters.get("k") or (usual_k(fit) if len(fit) else 1))


def _predicted(view: TagView, reader: CurveReader) -> list[int]:
    """The class predicted in each epoch, −1 where the example was not seen; nothing where it was not recorded."""
    try:
        found: list[int] = reader.own("predicted").astype(np.int64).tolist()
    except NotFound:
        return []
    return found


def _name(view: TagView, number: int) -> str | None:
    return label_name(view.dataset, number) if number >= 0 else None


def _all_flipped(definition: SuiteDefinition) -> bool:
    """Are all probes with wrong labels flips, or are there known ones among them?"""
    known = {category for _, category in (*definition.members, *definition.examples)}
    return "noisy" not in known


def _grounds(view: TagView, tag: Tag, run_ids: Sequence[int], predicted: Sequence[Sequence[int]]) -> Grounds:
    against, for_label = _pairs(view, tag.label, _other(tag.label, predicted))
    margin = _share_beyond(view, "aum", tag.index)
    return Grounds(
        margin_below=margin,
        # A look at every example: only where it is said.
        loss_above=_share_beyond(view, "mean_loss", tag.index) if margin is None else None,
        left_out=_left_out(view, run_ids, tag.index),
        against=against,
        for_label=for_label,
    )


def _share_beyond(view: TagView, method: str, index: int) -> float | None:
    """Share of the examples that are less suspect than this one by a score; None where it has none."""
    if method not in view.scores:
        return None
    score = view.scores[method]
    values = view.server.columns.score(view.session, score_id=score.id)
    own, known = values[index], values[np.isfinite(values)]
    if not np.isfinite(own) or len(known) < 2:
        return None
    better = known < own if score.bad_end == "high" else known > own
    return float(better.sum() / (len(known) - 1))


def _left_out(view: TagView, run_ids: Sequence[int], index: int) -> float | None:
    """Mean over the runs of the look that counts, of those too in which the example was displaced."""
    counts: Sequence[Mapping[str, Any]] = (view.tagging.report or {}).get("evidence") or []
    found = [
        _looked(view, run_id, of_run["look_epoch"], index)
        for run_id, of_run in zip(run_ids, counts, strict=False)
        if of_run["look_epoch"] is not None
    ]
    known = [value for value in found if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _looked(view: TagView, run_id: int, position: int, index: int) -> float:
    first = view.tagging.parameters.get(taggings.EPOCHS)
    epoch = curves.closed_epochs(view.session, run_id=run_id, first=first)[position]
    found = curves.read_rows(view.session, run_id=run_id, channel="left_out", rows=[index], epochs=[epoch])
    return float(found[0, 0])


def _other(given: int, predicted: Sequence[Sequence[int]]) -> int | None:
    """The class predicted most often beside the given one, over the runs; of equally frequent ones the lowest."""
    others = Counter(number for run in predicted for number in run if number >= 0 and number != given)
    return min(others, key=lambda number: (-others[number], number)) if others else None


def _pairs(view: TagView, given: int, other: int | None) -> tuple[Pair | None, Pair | None]:
    """What the report has of this pair of labels, where it goes one way: forth, and back."""
    listed: list[Mapping[str, Any]] = ((view.tagging.report or {}).get("per_class") or {}).get("pairs", [])
    one_way = {(pair["given"], pair["suggested"]): pair for pair in listed if pair["one_way"]}
    forth, back = one_way.get((given, other)), one_way.get((other, given))
    return None if forth is None else _pair(forth), None if back is None else _pair(back)


def _pair(listed: Mapping[str, Any]) -> Pair:
    return Pair(listed["given_name"], listed["suggested_name"], listed["num"], listed["num_reverse"])
