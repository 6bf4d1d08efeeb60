"""The suspicious list: order, filters, pages, the keyboard, and all of it in the URL."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Fake

PATH = "/projects/default/taggings/1"


def cards(page: Page) -> Locator:
    return page.locator("[data-index]")


def indices(page: Page) -> list[int]:
    return [int(value) for value in cards(page).evaluate_all("all => all.map(one => one.dataset.index)")]


def test_the_worst_stand_first_with_picture_labels_and_tag(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    expect(cards(page)).to_have_count(60)
    assert indices(page) == list(range(60))
    first = cards(page).first
    expect(first).to_have_accessible_name("key-000: given cat, suggested dog, noisy, suspicion 1.00")
    picture = first.get_by_role("img")
    expect(picture).to_have_js_property("naturalWidth", 8)
    expect(picture).to_have_css("image-rendering", "pixelated")
    expect(page.get_by_text("1–60 of 130")).to_be_visible()


def test_filters_go_to_the_url_and_back(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    filters = page.get_by_role("complementary", name="Filters")
    expect(filters.get_by_role("button", name="noisy")).to_contain_text("70")
    filters.get_by_role("button", name="noisy").click()
    filters.get_by_role("button", name="eel").click()
    expect(page).to_have_url(f"{fake.url}{PATH}?tag=noisy&label=eel")
    expect(page.get_by_text("1–23 of 23")).to_be_visible()
    assert indices(page) == [index for index in range(70) if index % 3 == 2]
    # A facet counts what its other values would leave.
    expect(filters.get_by_role("button", name="houseplant")).to_contain_text("10")
    page.reload()
    expect(filters.get_by_role("button", name="noisy")).to_have_attribute("aria-pressed", "true")
    expect(cards(page)).to_have_count(23)
    filters.get_by_role("button", name="noisy").click()
    expect(page).to_have_url(f"{fake.url}{PATH}?label=eel")
    page.go_back()
    expect(page).to_have_url(f"{fake.url}{PATH}?tag=noisy&label=eel")


def test_a_slider_from_sure_to_complete_says_what_is_tagged_as_wrong(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    group = page.get_by_role("group", name="Tagged as wrong")
    expect(group).to_contain_text("65 with a chance above 0.5. About 75 % of them are wrong. 50 % of all")
    slider = group.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(f"{fake.url}{PATH}?threshold=0.6")
    expect(group).to_contain_text("52 with a chance above 0.6. About 80 % of them are wrong. 40 % of all")
    expect(slider).to_be_focused()
    page.keyboard.press("End")
    expect(page).to_have_url(f"{fake.url}{PATH}?threshold=0.02")
    cards(page).first.click()
    expect(page).to_have_url(re.compile(r"/examples/0\?threshold=0\.02"))
    page.go_back()
    group.get_by_role("button", name="As it was").click()
    expect(page).to_have_url(fake.url + PATH)


def test_no_match_offers_the_way_out(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}?tag=prototypical&min_suspicion=0.9")
    expect(page.get_by_text("No example matches these filters.")).to_be_visible()
    page.get_by_role("region", name="Examples").get_by_role("button", name="Clear the filters").click()
    expect(cards(page)).to_have_count(60)


def test_sorted_by_a_score(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    page.get_by_label("Worst first by").select_option("aum")
    expect(page).to_have_url(f"{fake.url}{PATH}?order_by=aum")
    expect(cards(page).first).to_have_attribute("data-index", "129")
    expect(cards(page).first).to_contain_text("−12.9")


def test_pages_are_walked_forth_and_back(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    pager = page.get_by_role("navigation", name="Pages")
    pager.get_by_role("button", name="Next").click()
    expect(page.get_by_text("61–120 of 130")).to_be_visible()
    pager.get_by_role("button", name="Next").click()
    expect(page.get_by_text("121–130 of 130")).to_be_visible()
    expect(pager.get_by_role("button", name="Next")).to_be_disabled()
    page.reload()
    expect(page.get_by_text("121–130 of 130")).to_be_visible()
    pager.get_by_role("button", name="Previous").click()
    expect(page.get_by_text("61–120 of 130")).to_be_visible()
    pager.get_by_role("button", name="First").click()
    expect(page).to_have_url(fake.url + PATH)


def test_the_keyboard_walks_opens_and_comes_back(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    expect(cards(page)).to_have_count(60)
    for key in ("j", "j", "ArrowRight", "k"):
        page.keyboard.press(key)
    expect(page.locator('[data-index="1"]')).to_be_focused()
    expect(page).to_have_url(f"{fake.url}{PATH}?at=1")
    page.keyboard.press("ArrowDown")
    focused = page.locator("[data-index]:focus")
    below = int(focused.get_attribute("data-index") or 0)
    boxes = [page.locator(f'[data-index="{index}"]').bounding_box() for index in (1, below)]
    assert below > 2
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[1]["x"] == pytest.approx(boxes[0]["x"], abs=1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{fake.url}{PATH}/examples/{below}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"key-{below:03d}")
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{fake.url}{PATH}?at={below}")
    expect(page.locator(f'[data-index="{below}"]')).to_be_focused()


def test_the_keyboard_walks_over_the_edge_of_a_page(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}?at=59")
    expect(page.locator('[data-index="59"]')).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator('[data-index="60"]')).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator('[data-index="59"]')).to_be_focused()


def test_keys_for_the_filters_and_for_help(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    expect(cards(page)).to_have_count(60)
    page.keyboard.press("f")
    expect(page.get_by_role("button", name=re.compile("^prototypical"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator('[data-index="0"]')).to_be_focused()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("Next example")
    page.keyboard.press("j")
    expect(page.locator('[data-index="0"]')).to_have_class(re.compile("selected"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


@pytest.mark.parametrize(("tagging", "text"), [(2, "what is the highest waterfall?"), (3, "private")])
def test_texts_and_values_come_as_a_table(page: Page, fake: Fake, tagging: int, text: str) -> None:
    page.goto(f"{fake.url}/projects/default/taggings/{tagging}")
    expect(page.get_by_role("columnheader", name="Suspicion")).to_have_attribute("aria-sort", "descending")
    expect(page.get_by_role("row", name="key-000")).to_contain_text(text)
    page.get_by_role("button", name="Mean loss").click()
    expect(page).to_have_url(re.compile(r"order_by=mean_loss$"))
    page.get_by_role("button", name="Grid").click()
    expect(cards(page).first).to_contain_text(text)


def test_an_unfinished_tagging_says_so_and_appears(page: Page, fake: Fake) -> None:
    fake.state.tagging_states[1] = "running"
    page.goto(fake.url + PATH)
    expect(page.get_by_text("This tagging is running.")).to_be_visible()
    expect(cards(page)).to_have_count(0)
    fake.state.tagging_states[1] = "finished"
    expect(cards(page)).to_have_count(60)


def test_a_list_of_labels_alone(page: Page, fake: Fake) -> None:
    fake.state.tagging_states[4] = "finished"
    page.goto(f"{fake.url}/projects/default/taggings/4")
    expect(page.get_by_role("heading", level=1)).to_have_text("recorded-set v1")
    expect(page.get_by_text("labels only")).to_be_visible()
    expect(page.get_by_role("row", name="key-000")).to_contain_text("Not on the server")
