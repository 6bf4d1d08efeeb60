"""One example: the verdict, the curves, the nearest probes, and the way to the next one."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Fake

PATH = "/projects/default/taggings/1/examples"


def test_the_verdict_in_words_and_numbers(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/3")
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict.get_by_role("definition").first).to_have_text("cat")
    expect(verdict.get_by_role("definition").nth(1)).to_have_text("dog")
    expect(verdict).to_contain_text("A ranking, not a probability")
    expect(verdict.get_by_role("meter", name="Suspicion 0.98")).to_have_attribute("aria-valuenow", "0.9769")
    expect(verdict.get_by_role("meter", name="noisy 75 %")).to_be_visible()
    expect(verdict.get_by_role("img", name="key-003")).to_have_js_property("naturalWidth", 8)
    expect(verdict).to_contain_text("−0.300")


def test_the_sentence_stands_beside_the_verdict_whatever_curve_is_shown(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/3")
    said = page.get_by_role("region", name="Verdict").locator(".verdict-sentence")
    expect(said).to_have_text(
        "17 of 20 nearest probes are flipped labels; predicted 'dog' in 10 of 12 epochs."
    )
    page.get_by_role("button", name="Margin").click()
    expect(said).to_contain_text("17 of 20")


def test_the_curve_lies_over_a_band_per_category(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/3")
    chart = page.locator("figure.chart svg")
    expect(chart.locator('[aria-label="area"]')).to_have_count(4)
    # A median per band, and the example's own curve.
    expect(chart.locator('[aria-label="line"]')).to_have_count(5)
    page.get_by_role("list", name="Bands").get_by_role("button", name="ood").click()
    expect(chart.locator('[aria-label="area"]')).to_have_count(3)


def test_channel_and_run_are_switched_in_the_url(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/3")
    expect(page.get_by_role("button", name="Seed 0")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Margin").click()
    expect(page.get_by_role("heading", name="Margin over the epochs")).to_be_visible()
    expect(page.locator("figure.chart svg")).to_have_attribute(
        "aria-label", "margin of example 3 over 12 epochs"
    )
    page.get_by_role("button", name="Seed 1").click()
    expect(page).to_have_url(f"{fake.url}{PATH}/3?channel=margin&run=2")
    page.reload()
    expect(page.get_by_role("button", name="Seed 1")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Loss over the epochs")).to_be_visible()
    page.keyboard.press("l")
    expect(page.locator("figure.chart svg")).to_contain_text("0.1")


def test_a_displaced_example_is_looked_at_in_the_other_run(page: Page, fake: Fake) -> None:
    fake.state.displaced_in_run_1 = {3}
    page.goto(f"{fake.url}{PATH}/3")
    expect(page.get_by_role("button", name="Seed 1")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Seed 0").click()
    expect(page.get_by_text("it has no curve here")).to_be_visible()
    expect(page.locator(".neighbour")).to_have_count(0)


def test_a_probe_shows_its_curve_while_pointed_at(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/3")
    lines = page.locator('figure.chart svg [aria-label="line"]')
    expect(lines).to_have_count(5)
    probe = page.get_by_role("button", name="Probe 132: noisy, label cat, distance 2.50")
    probe.hover()
    expect(lines).to_have_count(6)
    page.get_by_role("heading", level=1).hover()
    expect(lines).to_have_count(5)
    probe.focus()
    expect(lines).to_have_count(6)


def test_the_predicted_classes_stand_under_the_epochs(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/3")
    strip = page.get_by_role("list", name="Predicted dog in 10 epochs, cat in 2 epochs")
    expect(strip.get_by_role("listitem")).to_have_text(["cat", "dog"])
    expect(strip.get_by_title("Epochs 3–12: dog")).to_have_class("suggested")
    expect(strip.get_by_title("Epochs 1–2: cat")).to_have_class("given")


def test_an_example_of_labels_alone_says_how_to_show_it(page: Page, fake: Fake) -> None:
    for number in (1, 2):
        fake.state.add_recorded(number, "finished", epochs_done=12)
    fake.state.tagging_states[4] = "finished"
    page.goto(f"{fake.url}/projects/default/taggings/4/examples/3")
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text("Labels only")
    expect(verdict).to_contain_text("sondage dataset add-inputs 4 FILE")
    curve = page.get_by_role("region", name="Curve")
    expect(curve.get_by_role("button", name="run-1")).to_have_attribute("aria-pressed", "true")
    expect(curve.get_by_role("button", name="Seed")).to_have_count(0)


def test_the_next_example_of_the_same_list(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/2?label=eel&channel=margin")
    expect(page.get_by_text("1 of 43")).to_be_visible()
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.keyboard.press("j")
    expect(page).to_have_url(f"{fake.url}{PATH}/5?label=eel&channel=margin")
    expect(page.get_by_role("heading", level=1)).to_have_text("key-005")
    page.keyboard.press("k")
    expect(page).to_have_url(f"{fake.url}{PATH}/2?label=eel&channel=margin")


def test_the_next_example_over_the_edge_of_a_page(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/59")
    expect(page.get_by_text("60 of 130")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page).to_have_url(f"{fake.url}{PATH}/60?cursor=at-60&page=1")
    expect(page.get_by_text("61 of 130")).to_be_visible()
    page.get_by_role("button", name="Previous").click()
    expect(page).to_have_url(f"{fake.url}{PATH}/59")


def test_texts_and_values_are_shown_whole(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}/projects/default/taggings/2/examples/3")
    expect(page.get_by_role("region", name="Verdict")).to_contain_text(
        "Question 3: what is the highest waterfall?"
    )
    page.goto(f"{fake.url}/projects/default/taggings/3/examples/3")
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("hours40.5")
