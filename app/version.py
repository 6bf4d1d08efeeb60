"""⑥ The version of Sondage that runs here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _version() -> str:
    try:
        return version("sondage")
    except PackageNotFoundError:
        return "0+unknown"


VERSION = _version()
