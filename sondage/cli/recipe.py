"""② A recipe's overrides, from a file and from `--set`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sondage.cli.common import pairs
from sondage.errors import InvalidInput


def recipe_of(file: Path | None, settings: Sequence[str], epochs: int | None) -> dict[str, Any]:
    """The file's fields, then those of `--set`, then `--epochs`: the later one counts."""
    recipe = {} if file is None else read_recipe(file)
    for name, text in pairs(settings, "=", "--set").items():
        recipe[name] = _value(text)
    if epochs is not None:
        recipe["num_epochs"] = epochs
    return recipe


def read_recipe(file: Path) -> dict[str, Any]:
    """A JSON, TOML or YAML file with the fields of a recipe."""
    try:
        recipe = _parse(file.read_text(encoding="utf-8"), file.suffix.lower())
    except OSError as fault:
        raise InvalidInput(f"{file} cannot be read: {fault.strerror}.", field="--recipe") from None
    except ValueError as fault:
        raise InvalidInput(f"{file} is no recipe: {fault}", field="--recipe") from None
    if not isinstance(recipe, dict):
        raise InvalidInput(
            f"{file} must hold fields with values, not a {type(recipe).__name__}.", field="--recipe"
        )
    return recipe


def _parse(text: str, suffix: str) -> Any:
    if suffix == ".json":
        return json.loads(text)
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix in (".yaml", ".yml"):
        return _parse_yaml(text)
    raise ValueError("its name must end in .json, .toml or .yaml.")


def _parse_yaml(text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ValueError("YAML needs one more package (pip install pyyaml); JSON and TOML do not.") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise ValueError(str(fault)) from None


def _value(text: str) -> Any:
    """`0.1`, `true`, `null`, `[0.5, 0.75]` as JSON reads them; all else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
