"""What `sondage report` prints of wrong labels."""

from __future__ import annotations

import pytest

from sondage.cli.report_wrong_labels import print_wrong_labels, wrong_label_fields

FOUND = {
    "is_uniform": True,
    "share_wrong": {"value": 0.2, "low": 0.17, "high": 0.231},
    "assumption": "True if errors are like slips.",
    "families": [{"share": 0.01, "assumption": "Slips."}, {"share": 0.3, "assumption": "Habits."}],
    "top_lists": [{"k": 50, "value": 0.98, "low": 0.95, "high": 1.0}],
}


def test_an_estimate_is_told_with_its_interval_and_its_assumption(capsys: pytest.CaptureFixture[str]) -> None:
    assert wrong_label_fields({"wrong_labels": FOUND}) == {"wrong labels": "20.0% (17.0% to 23.1%)"}
    print_wrong_labels({"wrong_labels": FOUND})
    told = capsys.readouterr().out
    assert "True if errors are like slips." in told
    assert "98.0% (95.0% to 100.0%)" in told


def test_a_range_names_the_assumption_of_each_end(capsys: pytest.CaptureFixture[str]) -> None:
    unfit = FOUND | {"is_uniform": False, "share_wrong": {"value": None, "low": 0.01, "high": 0.3}}
    assert wrong_label_fields({"wrong_labels": unfit}) == {"wrong labels": "1.0% to 30.0%"}
    print_wrong_labels({"wrong_labels": unfit})
    told = capsys.readouterr().out
    assert "1.0%  Slips." in told
    assert "30.0%  Habits." in told


@pytest.mark.parametrize("report", [{}, {"wrong_labels": None}, {"wrong_labels": {"share_wrong": None}}])
def test_a_tagging_that_only_votes_says_nothing(
    report: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert wrong_label_fields(report) == {}
    print_wrong_labels(report)
    assert capsys.readouterr().out == ""
