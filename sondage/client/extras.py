"""What the library can do without: packages of the extra `cli`, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def pyarrow_parquet() -> Any:
    """`pyarrow.parquet`, for tables.

    Raises
    ------
    ImportError
        It is not installed; the message says how to.
    """
    return _needed("pyarrow.parquet", "tables and Parquet files need pyarrow")


def pillow_image() -> Any:
    """`PIL.Image`, for encoded pictures. Raises ImportError where it is not installed."""
    try:
        return import_module("PIL.Image")
    except ModuleNotFoundError:
        raise ImportError("pictures of a suite need Pillow: pip install pillow") from None


def pandas() -> Any:
    """`pandas`, for frames. Raises ImportError as above."""
    return _needed("pandas", "data frames need pandas")


def _needed(module: str, why: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ImportError(f"{why}: pip install 'sondage[cli]'") from None
