"""Integrations import what they integrate when they are used, and say what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def after(program: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("sondage.sklearn", ["sklearn", "torch", "pyarrow", "pydantic"]),
        ("sondage.records", ["pyarrow", "torch", "pydantic", "pandas"]),
        ("sondage.torch", ["lightning", "transformers", "sklearn", "PIL", "pyarrow", "pydantic", "httpx"]),
    ],
)
def test_nothing_is_imported_before_it_is_used(module: str, absent: list[str]) -> None:
    program = (
        f"import {module}, json, sys; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    assert set(json.loads(after(program))).isdisjoint(absent)


@pytest.mark.parametrize(
    ("module", "missing", "extra"),
    [
        ("sondage.torch.lightning", ["lightning", "pytorch_lightning"], "sondage[lightning]"),
        ("sondage.torch.transformers", ["transformers"], "sondage[transformers]"),
    ],
)
def test_what_is_missing_is_said_with_its_extra(module: str, missing: list[str], extra: str) -> None:
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in missing)
    said = after(f"import sys; {hidden}\ntry:\n    import {module}\nexcept ImportError as e:\n    print(e)")
    assert extra in said
