"""⑤ The facts behind an example's tag and place, from the store; `sondage.tagging.sentence` puts them into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.api.classes import label_name
from app.api.curve_reader import CurveReader, by_training
from app.api.tag_views import TagView
from sondage.curves import Curves
from sondage.errors import NotFound
from sondage.probes.suite import SuiteDefinition
from sondage.tagging.grounds import Seen, standing
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
        grounds=_grounds(
            view, tag, run_ids, list(zip(counted, predicted, strict=True)), trained=bool(trained)
        )
        if view.tagging.tagger == "evidence"
        else None,
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


def _grounds(
    view: TagView,
    tag: Tag,
    run_ids: Sequence[int],
    counted: Sequence[tuple[CurveReader, Sequence[int]]],
    *,
    trained: bool,
) -> Grounds:
    """By what the tagging keeps of its evidence; of one that was made before it did, by the scores it has.

    `counted` are the runs that have a say, each with the class predicted in each epoch.
    """
    report = view.tagging.report or {}
    looked = _looks(view, run_ids, tag.index)
    known = [value for value in looked if value is not None and np.isfinite(value)]
    left_out = float(np.mean(known)) if known else None
    other = _other(tag.label, [_filled(predicted) for _, predicted in counted])
    against, for_label = _pairs(view, tag.label, other, trained=trained)
    kept = report.get("grounds")
    if kept is None:
        margin = _share_beyond(view, "aum", tag.index)
        # A look at every example: only where it is said.
        loss = _share_beyond(view, "mean_loss", tag.index) if margin is None else None
        return Grounds(margin, loss, left_out=left_out, against=against, for_label=for_label)
    recorded = {reader.run_id: (reader, np.array(predicted, np.int64)) for reader, predicted in counted}
    seen = [
        _seen(*recorded[run_id], of_run["channel"]) if run_id in recorded else None
        for run_id, of_run in zip(run_ids, kept["runs"], strict=True)
    ]
    found = standing(kept, report["evidence"], seen, looked)
    return Grounds(
        margin_below=found.margin if found.channel == "margin" else None,
        loss_above=found.margin if found.channel == "loss" else None,
        by_epochs=found.by_epochs,
        left_out=left_out,
        left_out_below=found.left_out,
        left_out_weight=found.left_out_weight,
        against=against,
        for_label=for_label,
    )


def _seen(reader: CurveReader, predicted: NDArray[np.int64], channel: str) -> Seen:
    return Seen(reader.own(channel), predicted if len(predicted) else None)


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


def _looks(view: TagView, run_ids: Sequence[int], index: int) -> list[float | None]:
    """Per run the look that counts, of those too in which the example was displaced."""
    counts: Sequence[Mapping[str, Any]] = (view.tagging.report or {}).get("evidence") or []
    return [
        None if of_run["look_epoch"] is None else _looked(view, run_id, of_run["look_epoch"], index)
        for run_id, of_run in zip(run_ids, counts, strict=False)
    ]


def _looked(view: TagView, run_id: int, position: int, index: int) -> float:
    first = view.tagging.parameters.get(taggings.EPOCHS)
    epoch = curves.closed_epochs(view.session, run_id=run_id, first=first)[position]
    found = curves.read_rows(view.session, run_id=run_id, channel="label_odds", rows=[index], epochs=[epoch])
    return float(found[0, 0])


def _filled(predicted: Sequence[int]) -> list[int]:
    """As the tagging saw them: epochs in which the example was not seen take the class of the one before."""
    if not predicted:
        return []
    filled = Curves({"predicted": np.array(predicted, dtype=np.int64)[None]}).fill()["predicted"][0]
    found: list[int] = filled.tolist()
    return found


def _other(given: int, predicted: Sequence[Sequence[int]]) -> int | None:
    """The class predicted most often beside the given one, over the runs; of equally frequent ones the lowest."""
    others = Counter(number for run in predicted for number in run if number >= 0 and number != given)
    return min(others, key=lambda number: (-others[number], number)) if others else None


def _pairs(view: TagView, given: int, other: int | None, *, trained: bool) -> tuple[Pair | None, Pair | None]:
    """This pair of labels, where it goes one way: forth, and back.

    Evidence counts pairs where a run trained the example; old taggings have those of the report's list.
    """
    report = view.tagging.report or {}
    kept = report.get("grounds")
    if kept is None:
        listed: list[Mapping[str, Any]] = (report.get("per_class") or {}).get("pairs", [])
        one_way = {
            (pair["given"], pair["suggested"]): _pair(view, pair["given"], pair["suggested"], pair)
            for pair in listed
            if pair["one_way"]
        }
    else:
        counted: list[Mapping[str, Any]] = (kept["pairs"] or {}).get("listed", []) if trained else []
        one_way = {
            (pair["given"], pair["other"]): _pair(view, pair["given"], pair["other"], pair, about=True)
            for pair in counted
        }
    if other is None:
        return None, None
    return one_way.get((given, other)), one_way.get((other, given))


def _pair(view: TagView, given: int, other: int, listed: Mapping[str, Any], *, about: bool = False) -> Pair:
    names = label_name(view.dataset, given), label_name(view.dataset, other)
    return Pair(*names, listed["num"], listed["num_reverse"], about)
