"""Review 100: drawn, decided by keyboard, estimated."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Fake

PATH = "/projects/default/taggings/1/review"


def test_a_sample_is_drawn_walked_through_by_keys_and_estimated(page: Page, fake: Fake) -> None:
    page.goto(fake.url + PATH)
    page.get_by_role("button", name="Draw 100 examples").click()
    expect(page.get_by_text("0 of 100 decided")).to_be_visible()
    expect(page.get_by_role("button", name="Estimate")).to_be_disabled()
    for number in range(30):
        page.keyboard.press("keu"[number % 3])
        expect(page.get_by_text(f"{number + 1} of 100 decided")).to_be_visible()
    assert len(fake.state.decisions) == 30
    assert list(fake.state.decisions.values())[:3] == ["keep", "exclude", "unsure"]
    page.get_by_role("button", name="Estimate").click()
    estimate = page.get_by_role("region", name="Estimate")
    expect(estimate).to_contain_text("17.2 % (14.0 % to 20.5 %) of the labels are wrong")
    expect(estimate).to_contain_text("Of the first 50: 90.0 % (80.0 % to 100.0 %)")
    expect(estimate).to_contain_text("not decided")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("dl.facts")).to_contain_text("unsure")


def test_it_is_a_tab_of_the_tagging(page: Page, fake: Fake) -> None:
    page.goto(fake.url + "/projects/default/taggings/1/report")
    page.get_by_role("link", name="Review 100").click()
    expect(page).to_have_url(fake.url + PATH)
