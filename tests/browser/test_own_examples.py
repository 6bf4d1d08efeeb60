"""A nearest probe that is an example of the user's own: it was made of no other, and shows its own picture."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Fake

PATH = "/projects/default/taggings/1/examples"


def test_a_probe_without_a_source_shows_itself(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}{PATH}/3")
    probes = page.locator(".neighbours li")
    expect(probes.nth(1)).to_contain_text("your own · label cat")
    expect(probes.nth(0)).not_to_contain_text("your own")
    picture = probes.nth(1).get_by_role("img")
    expect(picture).to_have_attribute("src", re.compile(r"/datasets/5/examples/1/thumbnail\?v=abc"))
    expect(picture).to_have_js_property("naturalWidth", 8)
