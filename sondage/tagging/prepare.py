"""⑤ Before the vote: fill the curves, drop probes that were not trained, choose prototypical and atypical ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sondage.curves import Curves
from sondage.errors import InvalidInput
from sondage.probes.plan import NO_SOURCE, Probes, scaled_counts
from sondage.probes.select import (
    Evidence,
    as_probes,
    draw_ordinary,
    gather_evidence,
    select_prototypical_atypical,
)
from sondage.probes.suite import SELECTED, SuiteDefinition
from sondage.types import AnyArray, Labels, Mask, Rows

if TYPE_CHECKING:
    from sondage.tagging.tag import RunCurves

ONE_RUN = (
    "One run only: prototypical probes are drawn at random from the train examples, and atypical ones are left out, "
    "since both must be chosen by another run. Train two seeds for all five categories."
)


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to be tagged: filled curves, and all of its probes, each with a curve.

    `trained` (bool, shape (N,)) are the examples it trained on; others have a curve if they were scored all the same.
    `looks` are left-out log odds by epoch; `known_wrong` the rows of fit probes whose label is wrong.
    `untrained` are held-out known examples among these: they tell how well a tagger does out of sample.
    """

    name: str
    curves: Curves
    labels: Labels
    probes: Probes
    trained: Mask
    warnings: list[str] = field(default_factory=list)
    looks: Mapping[int, AnyArray] = field(default_factory=dict)
    known_wrong: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    untrained: Probes = field(default_factory=Probes.of)

    @property
    def num_rows(self) -> int:
        return self.curves.num_rows


def prepare(
    runs: Sequence[RunCurves], definition: SuiteDefinition, num_examples: int, seed: int
) -> list[Prepared]:
    """Fill, drop and choose, for each run. A category that some run has no fit probe of is left out in all.

    Raises
    ------
    InvalidInput
        When a run is left with fewer than two categories to fit on.
    """
    filled = [_fill(run, num_examples) for run in runs]
    if any(generator.name in SELECTED for generator in definition.generators):
        filled = _choose(filled, definition, num_examples, seed)
    filled = _with_shared_categories(filled)
    for run in filled:
        _check_categories(run)
    wrong = [category.name for category in definition.used_categories() if category.wrong_label]
    return [replace(run, known_wrong=_fit_rows(run.probes, wrong)) for run in filled]


def _fit_rows(probes: Probes, categories: Sequence[str]) -> Rows:
    return probes.take((probes.role == "fit") & np.isin(probes.category, categories)).row


def _fill(run: RunCurves, num_examples: int) -> Prepared:
    curves = run.curves.fill()
    seen = curves.ever_seen()
    trained = seen.copy()
    trained[run.displaced] = trained[run.other_splits] = False
    known = trained[run.probes.row]
    apart = ~known & seen[run.probes.row] & (run.probes.role == "held_out")
    gone = int((~known & ~apart).sum())
    warnings = []
    if gone:
        warnings.append(
            f"{gone} of {len(known)} probes have no curve in run {run.name}: they were displaced "
            "or are not in the train split, and are left out."
        )
    return Prepared(
        name=run.name,
        curves=curves,
        labels=run.labels,
        probes=run.probes.take(known),
        trained=trained[:num_examples],
        warnings=warnings,
        looks=run.looks,
        untrained=run.probes.take(apart),
    )


def _choose(
    runs: list[Prepared], definition: SuiteDefinition, num_examples: int, seed: int
) -> list[Prepared]:
    # A stream of its own per run, so that what is drawn for one does not depend on the sizes of another.
    rngs = [np.random.default_rng([seed, number]) for number in range(len(runs))]
    if len(runs) == 1:
        return [_with_ordinary(runs[0], definition, num_examples, rngs[0])]
    evidence = [
        gather_evidence(run.curves, run.labels, run.probes, definition, run.trained, rng)
        for run, rng in zip(runs, rngs, strict=True)
    ]
    rngs = [np.random.default_rng([seed, number, 1]) for number in range(len(runs))]
    others = [Evidence.mean(evidence[:number] + evidence[number + 1 :]) for number in range(len(runs))]
    return [
        _with_chosen(run, of_others, definition, num_examples, rng)
        for run, of_others, rng in zip(runs, others, rngs, strict=True)
    ]


def _with_chosen(
    run: Prepared,
    of_others: Evidence,
    definition: SuiteDefinition,
    num_examples: int,
    rng: np.random.Generator,
) -> Prepared:
    counts = _selected_counts(run, definition, num_examples)
    wanted = counts.get("prototypical", 0), counts.get("atypical", 0)
    chosen = select_prototypical_atypical(of_others, run.trained, run.labels[:num_examples], wanted, rng)
    run = replace(
        run, warnings=run.warnings + _too_few(run, dict(zip(SELECTED, chosen, strict=True)), counts)
    )
    for generator in definition.generators:
        if generator.name in SELECTED:
            rows = chosen[SELECTED.index(generator.name)]
            run = _add(run, as_probes(rows, generator.category, definition.fit_share, rng))
    return run


def _with_ordinary(
    run: Prepared, definition: SuiteDefinition, num_examples: int, rng: np.random.Generator
) -> Prepared:
    run = replace(run, warnings=[*run.warnings, ONE_RUN])
    counts = _selected_counts(run, definition, num_examples)
    for generator in definition.generators:
        if generator.name == "prototypical":
            rows = draw_ordinary(run.trained, counts["prototypical"], rng)
            run = _add(run, as_probes(rows, generator.category, definition.fit_share, rng))
    return run


def _selected_counts(run: Prepared, definition: SuiteDefinition, num_examples: int) -> dict[str, int]:
    """As many as were planted, where the suite wishes as many: categories of one size are one vote's worth."""
    selected = {g.name: g.count for g in definition.generators if g.name in SELECTED}
    wished = sum(g.count for g in definition.generators if g.planted)
    if wished:
        made = (run.probes.row >= num_examples) & (run.probes.source_row != NO_SOURCE)
        share = min(1.0, int(made.sum()) / wished)
        return {name: max(2, round(count * share)) for name, count in selected.items()}
    scaled = scaled_counts(definition, int(run.trained.sum()))
    return {g.name: count for g, count in zip(definition.generators, scaled, strict=True)}


def _add(run: Prepared, probes: Probes) -> Prepared:
    return replace(run, probes=Probes.of(run.probes, probes))


def _too_few(run: Prepared, chosen: Mapping[str, Rows], counts: Mapping[str, int]) -> list[str]:
    return [
        f"Only {len(chosen[name])} of {wanted} {name} probes could be chosen for run {run.name}: too few examples "
        "are clearly right by the other runs. More epochs may help."
        for name, wanted in counts.items()
        if len(chosen[name]) < wanted
    ]


def _with_shared_categories(runs: list[Prepared]) -> list[Prepared]:
    """Votes are averaged over runs, so all runs must have had the same categories to vote for: where one is lacking,
    its votes go to the others, and a mean of both kinds would be a share of neither."""
    fitted = [set(run.probes.category[run.probes.role == "fit"].tolist()) for run in runs]
    lacking = sorted(set.union(*fitted) - set.intersection(*fitted))
    if not lacking:
        return runs
    warnings = [_lacking(name, runs, fitted) for name in lacking]
    return [
        replace(
            run,
            probes=run.probes.take(~np.isin(run.probes.category, lacking)),
            warnings=[*run.warnings, *warnings],
        )
        for run in runs
    ]


def _lacking(name: str, runs: Sequence[Prepared], fitted: Sequence[set[str]]) -> str:
    without = ", ".join(run.name for run, names in zip(runs, fitted, strict=True) if name not in names)
    return (
        f"Category {name} is left out: run {without} has no fit probes of it, and runs are averaged only over what all "
        "of them can tell. For tags of this category, tag again without that run."
    )


def _check_categories(run: Prepared) -> None:
    fitted = set(run.probes.category[run.probes.role == "fit"].tolist())
    if len(fitted) < 2:
        raise InvalidInput(
            f"Run {run.name} has fit probes of {len(fitted)} categories with curves; two at least are needed. Use a "
            "suite whose examples were trained in it, or train with planted probes.",
            field="suite_id",
        )
