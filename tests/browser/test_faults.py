"""What is shown when something is wrong: the server's own words, a key asked for, a way to try again."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Fake, Watch


def test_the_servers_words_are_shown(page: Page, fake: Fake, watch: Watch) -> None:
    watch.expected = ["404"]
    page.goto(f"{fake.url}/projects/default/taggings/99")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("There is no tagging 99 in this project.")
    expect(alert).to_contain_text("Request req-7")


def test_one_can_try_again(page: Page, fake: Fake, watch: Watch) -> None:
    watch.expected = ["500"]
    fake.state.broken = "/taggings/1/tags"
    page.goto(f"{fake.url}/projects/default/taggings/1")
    expect(page.get_by_text("The disk is full: make room and try again.")).to_be_visible()
    fake.state.broken = None
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-index]")).to_have_count(60)


def test_a_key_is_asked_for_and_sent_with_pictures_too(page: Page, fake: Fake, watch: Watch) -> None:
    watch.expected = ["401"]
    fake.state.key = "sesame"
    page.goto(f"{fake.url}/projects/default/taggings/1")
    expect(page.get_by_text("This server asks for a key")).to_be_visible()
    page.get_by_label("Key").fill("sesame")
    page.get_by_role("button", name="Enter").click()
    expect(page.locator("[data-index]").first.get_by_role("img")).to_have_js_property("naturalWidth", 8)


def test_a_wrong_address_leads_home(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}/no/such/place/at/all")
    page.get_by_role("link", name="To the runs").click()
    expect(page).to_have_url(f"{fake.url}/projects/default")


def test_nothing_is_fetched_from_elsewhere(page: Page, fake: Fake) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(f"{fake.url}/projects/default/taggings/1/examples/0")
    expect(page.locator("figure.chart svg")).to_be_visible()
    assert hosts == {fake.url.removeprefix("http://")}
