"""Training and recording run on a bare machine: torch, numpy and the standard library."""

import subprocess
import sys

import pytest

FORBIDDEN = (
    "store", "sqlalchemy", "psycopg", "pydantic", "pyarrow", "PIL", "datasets", "sklearn", "procrastinate",
    "httpx", "pandas", "scipy", "jaxtyping", "beartype",
)  # fmt: skip
MODULES = (
    "worker.training.loop",
    "worker.data.loader",
    "worker.data.augment",
    "sondage.recorder",
    "sondage.torch",
)


@pytest.mark.parametrize("modules", [MODULES])
def test_imports_need_torch_and_numpy_alone(modules):
    program = (
        "import sys\n"
        f"for name in {FORBIDDEN!r}: sys.modules[name] = None\n"
        f"for name in {modules!r}: __import__(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_recorder_needs_no_torch():
    program = "import sys; sys.modules['torch'] = None; import sondage.recorder"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_training_does_not_wait_for_torchs_compiler():
    """Every kind of input and optimiser, interrupted and gone on with; that import is 1.3 s of every start."""
    program = """
import contextlib, sys, tempfile
from pathlib import Path
from sondage.errors import JobAborted
from tests.unit.training.conftest import make_data
from tests.unit.training.test_loop import RECIPES, Stop, run, short
for name, (modality, recipe) in RECIPES.items():
    with tempfile.TemporaryDirectory() as folder:
        training = make_data(modality), short(recipe, num_epochs=2, deterministic=name == "mlp"), Path(folder)
        with contextlib.suppress(JobAborted):
            run(*training, should_stop=Stop(after=9))
        assert list(Path(folder).rglob("*.ckpt")), name
        run(*training, start_epoch=1)
sys.exit("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "torch._dynamo was imported"
