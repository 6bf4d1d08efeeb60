"""Means, regret, paired intervals and bars of outcomes made by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.truth_parts.evaluate import Outcome
from benchmarks.truth_parts.summary import AP, Grid, bars, best_single, difference, regret
from benchmarks.truth_parts.table import (
    as_markdown,
    as_text,
    bar_table,
    row_table,
    standings,
    summary_table,
    tagged_table,
)

Values = Mapping[tuple[str, str, int], float]


def outcomes(detector: str, values: Values, share_noisy: float | None = None) -> list[Outcome]:
    """Each value as every figure of a cell; on clean labels none."""
    names = (AP, "auroc", "precision_at_num", "recall_at_90")
    return [
        Outcome(
            row, noise, seed, detector, {} if noise == "clean" else dict.fromkeys(names, value), share_noisy
        )
        for (row, noise, seed), value in values.items()
    ]


def grid_of(value: Mapping[str, Mapping[str, float]], seeds: int = 5) -> list[Outcome]:
    """By detector and data set, the same for every seed."""
    return [
        one
        for detector, by_row in value.items()
        for one in outcomes(
            detector, {(row, "uniform20", seed): ap for row, ap in by_row.items() for seed in range(seeds)}
        )
    ]


def test_rows_are_means_over_the_seeds_that_are_there() -> None:
    grid = Grid.of(
        outcomes(
            "aum", {("trec", "pairs20", 0): 0.4, ("trec", "pairs20", 1): 0.6, ("mnist", "pairs20", 1): 0.9}
        )
    )
    assert grid.rows == [("trec", "pairs20"), ("mnist", "pairs20")]
    assert grid.by_row("aum").tolist() == pytest.approx([0.5, 0.9])


def test_what_is_only_reported_is_not_scored() -> None:
    grid = Grid.of(grid_of({"aum": {"adult": 0.3, "trec": 0.8}})).scored()
    assert grid.rows == [("trec", "uniform20")]


def test_the_best_single_detector_is_one_for_all_rows() -> None:
    made = grid_of(
        {
            "aum": {"trec": 0.8, "mnist": 0.8},
            "mean_loss": {"trec": 0.9, "mnist": 0.6},
            "last_loss": {"trec": 0.5, "mnist": 0.95},
            "reference": {"trec": 0.99, "mnist": 0.99},
        }
    )
    grid = Grid.of(made)
    assert best_single(grid, "same") == "aum"
    assert best_single(grid, "five") is None
    assert regret(grid, "aum", "same").tolist() == pytest.approx([0.1, 0.15])
    assert regret(grid, "reference", "same").tolist() == pytest.approx([-0.09, -0.04])


def test_an_even_gap_has_an_interval_without_width() -> None:
    gap = difference(
        Grid.of(grid_of({"aum": {"trec": 0.8, "sst2": 0.5}, "ctrl": {"trec": 0.7, "sst2": 0.4}})),
        "aum",
        "ctrl",
    )
    assert (gap.mean, gap.low, gap.high) == pytest.approx((0.1, 0.1, 0.1))
    assert gap.num_rows == 2


def test_intervals_are_those_of_a_slow_bootstrap() -> None:
    rng = np.random.default_rng(0)
    cells = [(row, "pairs20", seed) for row in ("trec", "mnist", "sst2") for seed in range(5)]
    effect = {"trec": 0.05, "mnist": 0.0, "sst2": 0.02}
    one = {cell: effect[cell[0]] + rng.normal(0, 0.02) for cell in cells}
    grid = Grid.of(outcomes("aum", one) + outcomes("ctrl", dict.fromkeys(cells, 0.0)))
    gap = difference(grid, "aum", "ctrl")
    means = []
    for _ in range(4_000):
        drawn = rng.choice(["trec", "mnist", "sst2"], size=3)
        means.append(
            np.mean(
                [np.mean([one[row, "pairs20", seed] for seed in rng.integers(5, size=5)]) for row in drawn]
            )
        )
    assert gap.mean == pytest.approx(np.mean(list(one.values())))
    assert (gap.low, gap.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.003)


def test_only_cells_that_both_have_are_compared() -> None:
    made = outcomes(
        "aum", {("trec", "pairs20", 0): 0.5, ("trec", "pairs20", 1): 0.9, ("mnist", "pairs20", 0): 0.1}
    )
    made += outcomes("ctrl", {("trec", "pairs20", 0): 0.4})
    gap = difference(Grid.of(made), "aum", "ctrl")
    assert (gap.mean, gap.num_rows) == (pytest.approx(0.1), 1)
    apart = outcomes("aum", {("trec", "pairs20", 0): 0.5}) + outcomes("ctrl", {("trec", "pairs20", 1): 0.4})
    with pytest.raises(ValueError, match="no cell in common"):
        difference(Grid.of(apart), "aum", "ctrl")


def test_bars_met_missed_and_without_cells() -> None:
    made = grid_of(
        {
            "aum": {"trec": 0.80, "mnist": 0.90},
            "reference": {"trec": 0.60, "mnist": 0.80},
            "mean_loss": {"trec": 0.70, "mnist": 0.97},
            "cleanlab_self_5x": {"mnist": 0.92},
        }
    )
    made += outcomes("reference", {("trec", "clean", 0): 0, ("mnist", "clean", 0): 0}, share_noisy=0.03)
    of_aum = {bar.name.split(",")[0]: bar for bar in bars(made, "aum")}
    assert [bar.met for bar in of_aum.values()] == [False, False, False, True, False, None, True]
    assert of_aum["worst-row regret"].value == pytest.approx(0.07)
    assert of_aum["share of the reference's distance to 1 closed"].value == pytest.approx(0.5)
    assert of_aum["less cleanlab_self_5x"].value == pytest.approx(-0.02)
    of_reference = {bar.name.split(",")[0]: bar for bar in bars(made, "reference")}
    assert of_reference["share of clean data tagged noisy"].met is False
    assert of_reference["share of clean data tagged noisy"].value == pytest.approx(0.03)
    better = made + grid_of({"ctrl": {"trec": 0.9, "mnist": 0.99}})
    assert best_single(Grid.of(better), "same") == "ctrl"


def test_tables_hold_every_detector_and_row() -> None:
    made = grid_of({"aum": {"trec": 0.8, "mnist": 0.9}, "reference": {"trec": 0.7}})
    made += outcomes("reference", {("trec", "clean", 0): 0}, share_noisy=0.25)
    lines = summary_table(made)
    assert [line[0] for line in lines[1:]] == ["aum", "reference"]
    assert lines[2][2] == "1"
    best, other = standings(made)
    assert best.gap is None
    assert other.gap is not None
    assert other.gap.mean == pytest.approx(-0.1)
    assert other.means[AP] == pytest.approx(0.7)
    assert other.worst_regret == pytest.approx(0.1)
    assert row_table(made, ["reference", "aum", "ctrl"])[1:] == [
        ["trec", "uniform20", "5", "0.700", "0.800"],
        ["mnist", "uniform20", "5", "–", "0.900"],
    ]
    assert row_table(made, ["ctrl"]) == []
    assert tagged_table(made)[1:] == [["trec", "clean", "reference", "0.250"]]
    (alone,) = standings(grid_of({"aum": {"trec": 0.8}}))
    assert alone.worst_regret is None
    assert as_markdown(lines).count("\n") == 3
    assert as_text(bar_table(bars(made, "reference"))).startswith("bar")
