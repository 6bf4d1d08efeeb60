"""The report: numbers as evaluate.py gives them, in all and per run."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from sondage.tagging.evaluate import Evaluation
from sondage.tagging.per_class import per_class
from sondage.tagging.stability import flips
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


def with_parts(fake: Fake, num_classes: int) -> None:
    """Classes of 60 examples; in class c, 3 c mod 60 are suspected, and half of these look like the next class."""
    labels = np.repeat(np.arange(num_classes), 60)
    within = np.arange(len(labels)) % 60
    suspicion = np.where(within < labels * 3 % 60, 0.9, 0.1)
    suggested = np.where(within % 2, (labels + 1) % num_classes, -1)
    names = [f"species {label:03}" for label in range(num_classes)]
    tag = (suspicion > 0.5).astype(int)
    tags = [tag, np.where(within < 3, 1 - tag, tag)]
    fake.state.report |= {
        "not_trained_on": Evaluation(NAMES, np.array([[7, 3], [5, 5]])).to_dict(),
        "stability": flips(tags, [np.ones(len(labels), bool)] * 2, NAMES) | {"from_probes": 0.03},
        "settling": {
            "num_sampled": 5000, "num_epochs": 30, "share_needed": 0.95, "settled_after": 14,
            "epochs": [1, 8, 13, 14, 30], "share_equal": [0.4, 0.8, 0.94, 0.96, 1.0],
        },
        "order_quality": {
            "runs": [
                {"run": "one", "not_trained_on": None, "trained_on": {
                    "num_wrong": 136, "against_examples": None,
                    "against_right": {"num": 408, "auroc": 0.9029, "low": 0.8784, "high": 0.9229},
                }},
            ],
            "top_list": {"num_examples": 600, "by_tags": True, "length": 61, "flip_rate": 0.139, "by_chance": 0.8},
        },
        "reliability": {
            "error": 0.044,
            "bins": [{"low": 0.8, "high": 1.0, "num": 417, "mean_share": 0.92, "share_right": 0.86}],
        },
        "per_class": per_class(labels, tag, suspicion, suggested, NAMES, names),
    }  # fmt: skip


@pytest.mark.usefixtures("report")
def test_what_is_said_of_the_tagging_as_a_whole(page: Page, fake: Fake) -> None:
    with_parts(fake, 10)
    page.goto(fake.url + PATH)
    facts = page.locator("dl.facts")
    expect(facts).to_contain_text("Differ between seeds5.0 %")
    expect(facts).to_contain_text("SettledAt epoch 14 of 30")
    seeds = page.get_by_role("region", name="Between seeds")
    expect(seeds).to_contain_text(
        "Of 600 examples that two runs trained, 5.0 % have another tag in the other run."
    )
    expect(seeds).to_contain_text("To be expected from another draw of probes alone: 3.0 %.")
    expect(seeds.get_by_role("meter", name="Flips of noisy")).to_be_visible()
    order = page.get_by_role("region", name="The order of the list")
    expect(order.get_by_role("cell")).to_have_text(
        ["136 trained on", "408 probes with right labels", "90.3 %", "87.8 % to 92.3 %"]
    )
    expect(order).to_contain_text(
        "13.9 % are not among the other run's; 80.0 % if the runs knew nothing of each"
    )
    settles = page.get_by_role("region", name="When tags settle")
    expect(settles.get_by_role("img")).to_have_attribute(
        "aria-label", "Share of the final tags, after 1, 8, 13, 14, 30 epochs"
    )
    apart = page.get_by_role("region", name="Held-out probes that no run trained on").get_by_role("cell")
    expect(apart).to_have_text(["70 %7", "30 %3", "50 %5", "50 %5"])
    votes = page.get_by_role("region", name="Calibration of the votes")
    expect(votes).to_contain_text("off by 4.4 % on average")
    expect(votes.locator("tbody tr")).to_have_text("80 % to 100 %41792 %86 %")
    rows = page.get_by_role("region", name="Per class").locator("tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("species 009")
    expect(rows.first.get_by_role("meter", name="Suspects of species 009 45.0 %")).to_be_visible()
    expect(page.get_by_role("button", name="Show all")).to_have_count(0)
    pairs = page.get_by_role("region", name="Taken for").locator("tbody tr")
    expect(pairs.first).to_have_text("species 009species 000130 one way")
    # What is said of all runs is not said of one.
    page.get_by_role("button", name="second").click()
    expect(seeds).to_have_count(0)


@pytest.mark.usefixtures("report")
def test_a_hundred_classes_and_ten_thousand(page: Page, fake: Fake) -> None:
    with_parts(fake, 100)
    page.goto(fake.url + PATH)
    classes = page.get_by_role("region", name="Per class")
    expect(classes.locator("tbody tr")).to_have_count(10)
    classes.get_by_role("button", name="Show all 100").click()
    expect(classes.locator("tbody tr")).to_have_count(100)
    classes.get_by_role("button", name="Only the 10 worst").click()
    expect(classes.locator("tbody tr")).to_have_count(10)
    # A class leads to its part of the list.
    worst = classes.get_by_role("link").first
    expect(worst).to_have_attribute("href", "/projects/default/taggings/1?label=species+019")
    with_parts(fake, 500)
    page.reload()
    classes.get_by_role("button", name="Show the 100 worst and the 20 best").click()
    expect(classes.get_by_text("… 380 classes between …")).to_be_visible()


@pytest.mark.usefixtures("report")
def test_wrong_labels_are_a_number_or_a_range_with_its_assumptions(page: Page, fake: Fake) -> None:
    found = {
        "method": "probes", "is_uniform": True, "num_flips": 400, "assumption": "True if errors are like slips.",
        "share_wrong": {"value": 0.2, "low": 0.17, "high": 0.231},
        "families": [
            {"name": "uniform", "share": 0.01, "num_flips": 400, "assumption": "True for slips."},
            {"name": "ceiling", "share": 0.3, "num_flips": 40, "assumption": "True for anything."},
        ],
        "top_lists": [{"k": 1000, "value": 0.98, "low": 0.95, "high": 1.0}],
    }  # fmt: skip
    fake.state.report |= {"wrong_labels": found}
    page.goto(fake.url + PATH)
    section = page.get_by_role("region", name="Wrong labels")
    expect(section).to_contain_text("by 400 planted flips")
    expect(section).to_contain_text(
        "20.0 % (17.0 % to 23.1 %) of the labels are wrong.True if errors are like"
    )
    expect(section).to_contain_text("1,00098.0 % (95.0 % to 100.0 %)")
    fake.state.report["wrong_labels"] = found | {
        "is_uniform": False, "share_wrong": {"value": None, "low": 0.01, "high": 0.3},
    }  # fmt: skip
    page.reload()
    expect(section).to_contain_text("1.0 % to 30.0 % of the labels are wrong, depending")
    expect(section).to_contain_text("30.0 %True for anything.")
    section.get_by_role("link", name="Review 100").click()
    expect(page).to_have_url(fake.url + PATH.replace("/report", "/review"))
