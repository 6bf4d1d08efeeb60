"""Where a recipe's overrides come from, and which one counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sondage.cli.recipe import recipe_of
from sondage.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.json", '{"lr": 0.1, "milestones": [0.5], "nesterov": false, "width": null}'),
        ("r.yaml", "lr: 0.1\nmilestones: [0.5]\nnesterov: false\nwidth: null\n"),
    ],
)
def test_files_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = recipe_of(tmp_path / name, [], None)
    assert found == {"lr": 0.1, "milestones": [0.5], "nesterov": False, "width": None}


def test_toml_is_read(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('lr = 0.1\nmodel = "mlp"\n')
    assert recipe_of(tmp_path / "r.toml", [], None) == {"lr": 0.1, "model": "mlp"}


def test_the_later_one_counts(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"lr": 0.1, "num_epochs": 3, "model": "mlp"}')
    found = recipe_of(tmp_path / "r.json", ["lr=0.2", "num_epochs=4"], 5)
    assert found == {"lr": 0.2, "num_epochs": 5, "model": "mlp"}


def test_settings_are_json_or_text() -> None:
    settings = [
        "lr=1e-3",
        "nesterov=false",
        "width=null",
        "milestones=[0.5, 0.75]",
        "model=my.module:make",
        "x=",
    ]
    assert recipe_of(None, settings, None) == {
        "lr": 0.001,
        "nesterov": False,
        "width": None,
        "milestones": [0.5, 0.75],
        "model": "my.module:make",
        "x": "",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.json", "{", "no recipe"),
        ("r.toml", "lr =", "no recipe"),
        ("r.yaml", "a: [", "no recipe"),
        ("r.json", "[1]", "not a list"),
        ("r.ini", "", r"\.json, \.toml or \.yaml"),
        ("r.json", None, "cannot be read"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput, match=message):
        recipe_of(tmp_path / name, [], None)


@pytest.mark.parametrize("setting", ["lr", "=0.1"])
def test_settings_without_a_name_or_a_value_are_refused(setting: str) -> None:
    with pytest.raises(InvalidInput, match="--set"):
        recipe_of(None, [setting], None)
