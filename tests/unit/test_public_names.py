"""What `import sondage` gives, and what it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sondage
import sondage.client
from sondage.recorder.disabled import DisabledRun

ROOT = Path(__file__).parents[2]

PUBLIC = [
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
PUBLIC_OF_RUN = [
    "drop_epoch",
    "drop_features",
    "end_epoch",
    "finish",
    "give_way",
    "log",
    "log_features",
    "name",
    "next_epoch",
    "note_training_loss",
    "num_classes",
    "num_examples",
    "num_lost",
    "num_unsent",
    "plant",
    "tag",
    "wants_features",
]
HEAVY = [
    "torch",
    "pydantic",
    "httpx",
    "pandas",
    "pyarrow",
    "sklearn",
    "typer",
    "rich",
    "sqlalchemy",
    "fastapi",
]


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    program = (
        f"{statement}\nimport json, sys; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_the_public_names_are_these() -> None:
    assert sondage.__all__ == PUBLIC
    assert sondage.client.__all__ == ["Client", "StartedRuns", "Tags"]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(sondage, name) is not None
    assert name in dir(sondage)


def test_the_public_names_of_a_run_are_these_and_a_disabled_one_has_its_own_of_each() -> None:
    assert [name for name in dir(sondage.Run) if not name.startswith("_")] == PUBLIC_OF_RUN
    assert set(PUBLIC_OF_RUN) <= vars(DisabledRun).keys()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Klient"):
        _ = sondage.Klient  # type: ignore[attr-defined]


def test_importing_the_library_imports_nothing_heavy() -> None:
    assert modules_after("import sondage").isdisjoint(HEAVY)


def test_recording_and_curves_need_numpy_alone() -> None:
    loaded = modules_after("import sondage; sondage.Recorder, sondage.Curves, sondage.init")
    assert loaded & set(HEAVY) == set()
    assert "numpy" in loaded


def test_the_client_imports_no_torch_and_no_tables() -> None:
    loaded = modules_after("import sondage; sondage.Client")
    assert {"httpx", "pydantic"} <= loaded
    assert loaded.isdisjoint({"torch", "pandas", "pyarrow", "sklearn", "typer"})


def test_the_command_line_imports_no_torch_and_no_tables() -> None:
    assert modules_after("import sondage.cli.app").isdisjoint({"torch", "pandas", "pyarrow", "sklearn"})


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sondage.__version__ == project["version"]
