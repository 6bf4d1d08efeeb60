"""Tags of a running training from the table of runs, and two taggings side by side."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Fake


def test_a_running_training_is_tagged_by_its_epochs_so_far(page: Page, fake: Fake) -> None:
    fake.state.add_run(7, "running", epochs_done=0)
    page.goto(f"{fake.url}/projects/default")
    row = page.get_by_role("row", name="run-7")
    expect(row.get_by_role("button", name="Abort")).to_be_visible()
    button = row.get_by_role("button", name="Tag run-7 by the epochs so far")
    expect(button).to_have_count(0)  # there is nothing to tag by yet
    fake.state.add_run(7, "running", epochs_done=3)
    button.click()
    early = page.get_by_role("region", name="Taggings").get_by_role("listitem").filter(has_text="#9")
    expect(early).to_contain_text("after 3 of 12 epochs · 71 % of held-out probes right")
    row.get_by_role("link", name="Labels so far").click()
    expect(page).to_have_url(re.compile("/taggings/9$"))
    expect(page.get_by_text("after 3 of 12 epochs")).to_be_visible()


def test_two_taggings_are_compared_from_the_report(page: Page, fake: Fake) -> None:
    fake.state.add_run(7, "running", epochs_done=3)
    page.request.post(f"{fake.url}/api/v1/projects/default/taggings", data={"run_ids": [7], "now": True})
    page.goto(f"{fake.url}/projects/default/taggings/1/report")
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_label("Tagging 1 beside")).to_contain_text("tagging 9 · reference tagger · run 7")
    expect(page.get_by_text("0.750")).to_be_visible()
    tops = page.get_by_role("region", name="Top lists")
    expect(tops.get_by_role("row").nth(1)).to_have_text(re.compile(r"10.*7.*70 %.*8 %"))
    moved = page.get_by_role("region", name="Examples that moved furthest")
    expect(moved.get_by_role("row")).to_have_count(26)
    moved.get_by_role("button", name="Show more").click()
    expect(moved.get_by_role("row")).to_have_count(51)
    page.get_by_role("button", name="noisy to prototypical: 20").click()
    expect(page).to_have_url(re.compile("tag=noisy&other_tag=prototypical"))
    expect(moved).to_contain_text("From noisy to prototypical")
    expect(moved.get_by_role("row").nth(1)).to_contain_text("1130")  # first here, the last of 130 there


def test_the_agreement_of_seeds_is_a_filter_in_the_address(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}/projects/default/taggings/1")
    page.get_by_label("Tag in the seeds").select_option("not the same in all")
    expect(page).to_have_url(re.compile("in_all_seeds=false"))
    page.get_by_role("button", name="Clear the filters").click()
    expect(page).not_to_have_url(re.compile("in_all_seeds"))


def test_it_is_not_offered_for_tags_that_a_threshold_moves(page: Page, fake: Fake) -> None:
    """The server refuses it there; a link that has both still shows the filter, so that it can be taken away."""
    page.goto(f"{fake.url}/projects/default/taggings/1?threshold=0.9")
    expect(page.get_by_role("heading", name="Given label")).to_be_visible()
    expect(page.get_by_label("Tag in the seeds")).to_have_count(0)
    page.goto(f"{fake.url}/projects/default/taggings/1?threshold=0.9&in_all_seeds=true")
    expect(page.get_by_label("Tag in the seeds")).to_have_value("true")
