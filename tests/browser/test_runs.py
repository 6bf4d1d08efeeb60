"""The runs screen: live progress, errors, abort, and what a new user is told."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Fake


def test_the_start_leads_to_the_first_project(page: Page, fake: Fake) -> None:
    page.goto(fake.url)
    expect(page).to_have_url(f"{fake.url}/projects/default")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    expect(page.get_by_text("worker ready")).to_be_visible()
    expect(page.get_by_role("region", name="Datasets").get_by_role("listitem")).to_have_count(3)


def test_progress_is_live(page: Page, fake: Fake) -> None:
    fake.state.add_run(3, "running", epochs_done=2)
    page.goto(f"{fake.url}/projects/default")
    row = page.get_by_role("row", name="run-3")
    expect(row).to_contain_text("2/12")
    expect(row).to_contain_text("4,213 examples/s · 1 min 35 s left")
    fake.state.add_run(3, "running", epochs_done=7)
    expect(row).to_contain_text("7/12")
    expect(row.get_by_role("progressbar")).to_have_attribute("value", "7")
    fake.state.add_run(3, "finished", epochs_done=12)
    expect(row).to_contain_text("finished")
    expect(row.get_by_role("button")).to_have_count(0)
    expect(row).not_to_contain_text("left")


def test_a_failed_run_says_why(page: Page, fake: Fake) -> None:
    fake.state.add_run(3, "failed", epochs_done=4, error="The loss is not a number: lower lr.")
    page.goto(f"{fake.url}/projects/default")
    expect(page.get_by_role("row", name="run-3")).to_contain_text("failed")
    expect(page.get_by_text("The loss is not a number: lower lr.")).to_be_visible()


def test_a_run_can_be_aborted(page: Page, fake: Fake) -> None:
    fake.state.add_run(3, "running", epochs_done=4)
    page.goto(f"{fake.url}/projects/default")
    button = page.get_by_role("button", name="Abort run-3, seed 2")
    button.click()
    expect(button).to_be_disabled()
    expect(page.get_by_role("row", name="run-3")).to_contain_text("aborting")
    assert fake.state.aborted == [3]


def test_a_recorded_run_says_so_and_no_seed(page: Page, fake: Fake) -> None:
    fake.state.datasets.append(4)
    fake.state.add_recorded(3, "running", epochs_done=4)
    page.goto(f"{fake.url}/projects/default")
    row = page.get_by_role("row", name="run-3")
    expect(row).to_contain_text("recorded by its own loop")
    expect(row).not_to_contain_text("seed")
    expect(row).to_contain_text("recorded-set v1")
    datasets = page.get_by_role("region", name="Datasets")
    expect(datasets.get_by_role("listitem").filter(has_text="recorded-set")).to_contain_text("labels only")
    row.get_by_role("button", name="Abort run-3", exact=True).click()
    expect(row).to_contain_text("aborted")
    expect(row.get_by_role("button")).to_have_count(0)
    assert fake.state.aborted == [3]


def test_a_tagging_of_recorded_runs_names_them(page: Page, fake: Fake) -> None:
    for number in (1, 2):
        fake.state.add_recorded(number, "finished", epochs_done=12)
    page.goto(f"{fake.url}/projects/default")
    taggings = page.get_by_role("region", name="Taggings").get_by_role("listitem")
    expect(taggings.first).to_contain_text("run-1, run-2, recorded by their own loop")


def test_a_finished_run_leads_to_its_list(page: Page, fake: Fake) -> None:
    page.goto(f"{fake.url}/projects/default")
    page.get_by_role("row", name="run-1").get_by_role("link", name="Suspicious labels").click()
    expect(page).to_have_url(f"{fake.url}/projects/default/taggings/1")
    expect(page.get_by_role("heading", level=1)).to_have_text("image-set v1")


def test_an_empty_project_tells_how_to_begin(page: Page, fake: Fake) -> None:
    fake.state.datasets, fake.state.tagging_states = [], {}
    fake.state.runs.clear()
    fake.state.jobs.clear()
    page.goto(f"{fake.url}/projects/default")
    expect(page.get_by_text("sondage dataset add digits")).to_be_visible()
    expect(page.get_by_text("sondage run start digits")).to_be_visible()


def test_more_runs_than_one_page_holds(page: Page, fake: Fake) -> None:
    for number in range(3, 73):
        fake.state.add_run(number, "finished", epochs_done=12)
    page.goto(f"{fake.url}/projects/default")
    runs = page.get_by_role("region", name="Runs")
    rows = runs.get_by_role("row", name="run-")
    expect(rows).to_have_count(50)
    runs.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(72)
    expect(runs.get_by_role("button", name="Show more")).to_have_count(0)
