"""The report: numbers as evaluate.py gives them, in all and per run."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from sondage.tagging.evaluate import Evaluation
from tests.browser.conftest import Fake

PATH = "/projects/default/taggings/1/report"
NAMES = ("prototypical", "noisy")


def quartiles(median: float | None) -> dict[str, float | None]:
    return {"q25": median, "median": median, "q75": median, "share_never": 0.25}


def run_report(name: str, confusion: list[list[int]]) -> dict[str, object]:
    return {
        "run": name,
        "k": 7,
        "num_epochs": 12,
        "num_probes": {category: {"fit": 30, "held_out": 10} for category in NAMES},
        **Evaluation(NAMES, np.array(confusion)).to_dict(),
        "learned": {"noisy": {"first": quartiles(4.0), "stays": quartiles(None)}},
    }


@pytest.fixture
def report(fake: Fake) -> dict[str, object]:
    fake.state.report = {
        "tagger": "reference",
        "categories": [
            {"name": "prototypical", "wrong_label": False},
            {"name": "noisy", "wrong_label": True},
        ],
        "protocol": "training pass, no augmentation",
        "held_out_trained_on": True,
        "num_examples": {"tagged": 1200, "displaced": 40, "without_suspicion": 0, "not_trained": 30},
        "overall": Evaluation(NAMES, np.array([[18, 2], [4, 16]])).to_dict(),
        "runs": [run_report("first", [[10, 0], [4, 6]]), run_report("second", [[8, 2], [0, 10]])],
        "warnings": ["The smallest category has 10 held-out probes."],
    }
    return fake.state.report


@pytest.mark.usefixtures("report")
def test_the_report_in_all(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    expect(
        page.get_by_role("list", name="Warnings").get_by_text("The smallest category has 10")
    ).to_be_visible()
    facts = page.locator("dl.facts")
    for text in (
        "Accuracy85.0 %",
        "Examples1,200 tagged, 40 displaced, 30 not trained",
        "Held-out probes40",
        "k7",
        "training pass, no augmentation",
    ):
        expect(facts).to_contain_text(text)
    matrix = page.get_by_role("region", name="Confusion matrix").get_by_role("cell")
    expect(matrix).to_have_text(["90 %18", "10 %2", "20 %4", "80 %16"])
    noisy = page.get_by_role("region", name="Per category").get_by_role("row", name="noisy")
    expect(noisy).to_contain_text("yes")
    expect(noisy.get_by_role("meter", name="Precision of noisy 89 %")).to_be_visible()
    expect(noisy.get_by_role("meter", name="Recall of noisy 80 %")).to_be_visible()
    expect(noisy.get_by_role("cell").nth(3)).to_have_text("60")
    expect(page.get_by_text("The model was trained on these probes")).to_be_visible()


@pytest.mark.usefixtures("report")
def test_the_report_of_one_run(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    page.get_by_role("button", name="second").click()
    expect(page).to_have_url(f"{fake.url}{PATH}?run=2")
    expect(page.locator("dl.facts")).to_contain_text("Accuracy90.0 %")
    expect(page.get_by_role("region", name="When learned, first")).to_have_count(0)
    learned = page.get_by_role("region", name="When learned, second").get_by_role("row", name="noisy")
    # The report counts epochs from 0, the screen from 1; where none was learned there is no number.
    expect(learned.get_by_role("cell")).to_have_text(["5 (5–5)", "–", "25 %"])


def test_a_report_with_nothing_in_it(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    expect(page.get_by_text("The report as JSON")).to_be_visible()


def test_no_report_before_the_tagging_has_finished(page: Page, fake: Fake) -> None:
    fake.state.tagging_states[1] = "failed"
    page.goto(fake.url + PATH)
    expect(page.get_by_text("This tagging has failed: it has no results.")).to_be_visible()
