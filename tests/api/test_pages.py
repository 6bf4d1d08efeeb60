"""The dashboard's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.pages import Dashboard
from app.settings import AppSettings
from tests.api.worlds import BASE


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<p>the page</p>")
    (tmp_path / "dist" / "assets" / "main-1a2b.js").write_text("let x")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "dist"


def client_of(folder: Path) -> TestClient:
    app = create_app(AppSettings())
    app.router.default = Dashboard(folder)
    return TestClient(app, base_url=BASE)  # not started: files need no database


@pytest.mark.parametrize("path", ["/", "/taggings/3", "/taggings/3/examples/7?tag=noisy"])
def test_every_address_of_the_dashboard_is_its_page(dist: Path, path: str) -> None:
    response = client_of(dist).get(path)
    assert response.text == "<p>the page</p>"
    assert response.headers["cache-control"] == "no-cache"


def test_files_with_a_digest_in_their_name_are_kept_for_ever(dist: Path) -> None:
    response = client_of(dist).get("/assets/main-1a2b.js")
    assert response.text == "let x"
    assert "immutable" in response.headers["cache-control"]
    assert client_of(dist).get("/assets/old-9f.js").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/..%2f..%2fsecret.txt", "/a%00b"],
)
def test_nothing_outside_is_served(dist: Path, path: str) -> None:
    response = client_of(dist).get(path)
    assert "secret" not in response.text or response.status_code == 404
    assert response.text != "secret"


def test_a_link_out_of_the_folder_is_not_followed(dist: Path) -> None:
    (dist / "link.txt").symlink_to(dist.parent / "secret.txt")
    assert client_of(dist).get("/link.txt").status_code == 404


def test_without_a_build_it_says_how_to_make_one(tmp_path: Path) -> None:
    response = client_of(tmp_path / "none").get("/")
    assert response.status_code == 200
    assert "make dashboard" in response.text


def test_the_dashboard_takes_nothing_in(dist: Path) -> None:
    response = client_of(dist).post("/taggings")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"
