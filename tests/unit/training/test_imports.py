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
