"""Sondage finds what lies in a training set: mislabelled, odd, foreign and typical examples.

Importing it needs NumPy at most. What needs more is imported when it is first used: the client httpx and pydantic,
`sondage.torch` PyTorch. The method is in `sondage.probes`, `sondage.tagging` and `sondage.scores`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sondage.errors import (
    Conflict,
    DataFolderError,
    Forbidden,
    InvalidInput,
    InvalidRows,
    JobAborted,
    JobFailed,
    NotFound,
    RowError,
    SondageError,
    Unavailable,
    Unsupported,
)

if TYPE_CHECKING:
    from sondage.client import Client
    from sondage.curves import Curves
    from sondage.recorder import MemorySink, Recorder, Run, Sink, init

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Conflict",
    "Curves",
    "DataFolderError",
    "Forbidden",
    "InvalidInput",
    "InvalidRows",
    "JobAborted",
    "JobFailed",
    "MemorySink",
    "NotFound",
    "Recorder",
    "RowError",
    "Run",
    "Sink",
    "SondageError",
    "Unavailable",
    "Unsupported",
    "__version__",
    "init",
]

_HOMES = {
    "Client": "sondage.client",
    "Curves": "sondage.curves",
    "MemorySink": "sondage.recorder",
    "Recorder": "sondage.recorder",
    "Run": "sondage.recorder",
    "Sink": "sondage.recorder",
    "init": "sondage.recorder",
}


def __getattr__(name: str) -> object:
    """Import a public name where it lives, on its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sondage' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
