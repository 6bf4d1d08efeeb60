"""The whole way with nothing faked: digits with wrong labels, trained, tagged, and looked at."""

from __future__ import annotations

import csv
import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo

SHOWN = 60


def test_from_the_runs_to_the_worst_label(page: Page, served_demo: Demo) -> None:
    page.goto(served_demo.url)
    rows = page.get_by_role("row", name="demo-s")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("5/5")
    rows.first.get_by_role("link", name="Suspicious labels").click()
    cards = page.locator("[data-index]")
    expect(cards).to_have_count(SHOWN)
    worst = next(iter(served_demo.client.taggings.tags(served_demo.tagging.id)))
    expect(cards.first).to_have_attribute("data-index", str(worst.index))
    expect(cards.first.get_by_role("img")).to_have_js_property("naturalWidth", 8)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text(f"Given label{worst.label_name}")
    expect(verdict).to_contain_text("Suggested label" + (worst.suggested_label_name or "the same"))


def test_the_curve_in_both_runs_and_channels(page: Page, served_demo: Demo) -> None:
    page.goto(f"{served_demo.url}/projects/default/taggings/{served_demo.tagging.id}")
    page.locator("[data-index]").first.click()
    chart = page.locator("figure.chart svg")
    # The server's first explanation imports scikit-learn, which takes seconds beside other tests.
    areas = chart.locator('[aria-label="area"]')
    expect(areas).to_have_count(len(served_demo.tagging.categories), timeout=30_000)
    for seed in ("Seed 0", "Seed 1"):
        page.get_by_role("button", name=seed).click()
        expect(page.get_by_role("button", name=seed)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Margin").click()
    expect(chart).to_have_attribute("aria-label", re.compile("^margin of example"))


def test_the_pictures_of_made_probes(page: Page, served_demo: Demo) -> None:
    page.goto(f"{served_demo.url}/projects/default/taggings/{served_demo.tagging.id}")
    page.locator("[data-index]").first.click()
    expect(page.locator(".neighbour")).to_have_count(8)
    for picture in page.locator(".neighbour img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("naturalWidth", 8)


def test_every_order_and_filter_is_known_to_the_server(page: Page, served_demo: Demo) -> None:
    page.goto(f"{served_demo.url}/projects/default/taggings/{served_demo.tagging.id}")
    orders = page.get_by_label("Worst first by")
    expect(orders.locator("option")).to_have_count(9)
    for order in orders.locator("option").evaluate_all("all => all.map(one => one.value)"):
        orders.select_option(order)
        expect(page.get_by_text("1–60 of 1,797")).to_be_visible()
    page.get_by_role("navigation", name="Pages").get_by_role("button", name="Next").click()
    expect(page.get_by_text("61–120 of 1,797")).to_be_visible()
    page.get_by_role("complementary").get_by_role("button", name="noisy").click()
    page.get_by_role("group", name="Given label").get_by_role("button").nth(3).click()
    expect(page.locator("[data-index]").first).to_have_accessible_name(re.compile("given 3,.* noisy,"))


def test_the_list_as_a_file(page: Page, served_demo: Demo) -> None:
    page.goto(f"{served_demo.url}/projects/default/taggings/{served_demo.tagging.id}?label=4")
    expect(page.locator("[data-index]")).to_have_count(SHOWN)
    with page.expect_download() as download:
        page.get_by_label("Export the list").select_option("csv")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert len(rows) > SHOWN
    assert {row["label"] for row in rows} == {"4"}


def test_the_report_of_the_runs(page: Page, served_demo: Demo) -> None:
    page.goto(f"{served_demo.url}/projects/default/taggings/{served_demo.tagging.id}/report")
    report = served_demo.client.taggings.report(served_demo.tagging.id).report
    expect(page.locator("dl.facts")).to_contain_text(f"Accuracy{report['overall']['accuracy'] * 100:.1f} %")
    expect(page.get_by_role("region", name="Confusion matrix").get_by_role("cell")).to_have_count(25)
    expect(page.get_by_role("region", name=re.compile("When learned"))).to_have_count(2)


def test_a_training_is_followed_and_aborted(page: Page, served_demo: Demo) -> None:
    page.goto(f"{served_demo.url}/projects/default")
    started = served_demo.client.runs.start(
        served_demo.dataset.id, name="long", recipe={"num_epochs": 2000}, seeds=[7], tag=False
    )
    # The page notices by itself within its idle interval; coming back to it is quicker.
    page.reload()
    row = page.get_by_role("row", name="long-s7")
    expect(row).to_contain_text(re.compile(r"[1-9]\d*/2,000.*examples/s.*left"), timeout=30_000)
    row.get_by_role("button", name="Abort").click()
    expect(row).to_contain_text("aborted", timeout=15_000)
    assert served_demo.client.runs.get(started.runs[0].id).state == "aborted"


def test_the_slider_goes_by_what_the_flips_say(page: Page, served_demo: Demo) -> None:
    number = served_demo.tagging.id
    assert served_demo.client.taggings.report(number).report["wrong_labels"]["method"] == "probes"
    effect = served_demo.client.taggings.tags(number, threshold=0.02).facets().threshold
    assert effect is not None
    assert effect.num_wrong > 0
    page.goto(f"{served_demo.url}/projects/default/taggings/{number}")
    group = page.get_by_role("group", name="Tagged as wrong")
    group.get_by_role("slider").press("End")
    expect(group.get_by_role("status")).to_contain_text(f"{effect.num_wrong:,} ")
    expect(page.get_by_role("button", name="noisy")).to_contain_text(f"{effect.num_wrong:,}")
