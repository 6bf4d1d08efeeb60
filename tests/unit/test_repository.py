"""The outer shell holds together: compose file, images, versions, make targets, hooks, CI, the README's tree."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")


# ---- the compose file


def test_every_service_is_built_from_a_target_that_exists_or_is_an_image_with_a_version() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["build"]["target"] in stages(), name
            assert (ROOT / service["build"]["context"] / "Dockerfile").is_file()
            assert set(service["build"].get("args", {})) <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.M))
        else:
            assert re.fullmatch(r"[a-z]+:\d+[\w.-]*", service["image"]), name


def test_the_services_of_the_issue_are_there() -> None:
    assert SERVICES["migrate"]["command"] == ["python", "-m", "alembic", "upgrade", "head"]
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["worker-cpu"]["profiles"] == ["cpu"]
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    devices = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert int(SERVICES["postgres"]["image"].split(":")[1].split("-")[0]) >= 16


def test_services_wait_for_what_they_need() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[needed]["healthcheck"], name
            else:
                assert how["condition"] == "service_completed_successfully"
                assert SERVICES[needed]["restart"] == "no", f"{name} would wait for ever"
    assert all("migrate" in SERVICES[name]["depends_on"] for name in ("api", "worker-cpu", "worker-gpu"))


def test_every_service_that_stays_has_a_health_check() -> None:
    staying = {name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"}
    assert staying == {"postgres", "api", "worker-cpu", "worker-gpu"}
    for name in staying:
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_data_lies_in_named_volumes() -> None:
    for service in SERVICES.values():
        for volume in service["volumes"]:
            name, path = volume.split(":")
            assert name in COMPOSE["volumes"]
            assert path in {"/data", "/var/lib/postgresql"}
    assert "VOLUME /data" in DOCKERFILE
    assert "SONDAGE_DATA_DIR=/data" in DOCKERFILE


def test_secrets_come_from_outside_and_are_asked_for() -> None:
    for name, service in SERVICES.items():
        for variable, value in service["environment"].items():
            if re.search(r"PASSWORD|SECRET|TOKEN|KEY", variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name}: {variable}"
            for password in re.findall(r"://[^:/@]+:(.+)@", str(value)):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", password), f"{name}: {variable}"
    assert not re.search(r"(PASSWORD|SECRET|TOKEN|_KEY)=", DOCKERFILE)
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_settings_that_containers_set_exist() -> None:
    from app.settings import AppSettings
    from worker.settings import WorkerSettings

    known = {
        f"SONDAGE_{name.upper()}" for name in {**AppSettings.model_fields, **WorkerSettings.model_fields}
    }
    for service in SERVICES.values():
        asked = {name for name in service["environment"] if name.startswith("SONDAGE_")}
        assert asked <= known


def test_every_command_of_a_container_exists() -> None:
    lists = [service[key] for service in SERVICES.values() for key in ("command",) if key in service]
    lists += [service.get("healthcheck", {}).get("test", [])[1:] for service in SERVICES.values()]
    lists += [json.loads(found) for found in re.findall(r"CMD (\[.+\])", DOCKERFILE)]
    modules = [words[2] for words in lists if words[:2] == ["python", "-m"]]
    assert {"app", "worker", "alembic", "tools.healthy"} <= set(modules)
    for module in modules:
        assert runnable(module), module


def test_the_servers_own_parser_knows_its_commands() -> None:
    from app.__main__ import _parser

    commands = [
        SERVICES["api"]["command"],
        *(json.loads(found) for found in re.findall(r"CMD (\[.+\])", DOCKERFILE)),
    ]
    guide = (ROOT / "docs" / "guides" / "docker.md").read_text()
    commands += [["python", *shlex.split(words)] for words in re.findall(r"python (-m app .+)", guide)]
    asked = [words[3:] for words in commands if words[1:3] == ["-m", "app"]]
    assert {words[0] for words in asked} == {"serve", "keys"}
    for words in asked:
        _parser().parse_args(words)


# ---- the images


def stages() -> dict[str, str]:
    """The text of each build stage, by name."""
    parts = re.split(r"^FROM (\S+) AS (\w+)$", DOCKERFILE, flags=re.M)
    return {parts[i + 1]: f"FROM {parts[i]}\n{parts[i + 2]}" for i in range(1, len(parts), 3)}


def test_copied_paths_exist_and_reach_the_builder() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    for stage in stages().values():
        for words in re.findall(r"^COPY (.+)$", stage, re.M):
            if words.startswith("--from="):
                assert words.split()[0].removeprefix("--from=") in stages()
                continue
            for source in words.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.split('/')[0]}" in rules, f"{source} is left out by .dockerignore"
                assert not any(fnmatch(source, rule) for rule in rules if rule not in {"*"}), source


def test_images_work_as_an_unprivileged_user() -> None:
    for name in ("api", "worker"):
        assert re.findall(r"^USER (\w+)$", stages()[name], re.M) == ["sondage"]
        assert "HEALTHCHECK" in stages()[name]


def test_the_image_of_the_server_holds_no_torch() -> None:
    stage = stages()["api"]
    assert stage.startswith("FROM base\n")
    installed = re.findall(r"pip install .*'\.\[(\w+)\]'", stage + stages()["base"])
    assert installed == ["app"]
    assert {"torch", "datasets"}.isdisjoint(packages_of("app"))
    assert {"torch", "datasets"} <= packages_of("worker")
    assert "worker" not in re.findall(r"^COPY (\w+) ", stage, re.M)


def packages_of(extra: str) -> set[str]:
    """What an extra installs by name, the extras that it names included."""
    names = {Requirement(line).name for line in PYPROJECT["project"]["dependencies"]}
    for line in PYPROJECT["project"]["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == "sondage":
            names |= {name for inner in requirement.extras for name in packages_of(inner)}
        else:
            names.add(requirement.name)
    return names


# ---- versions


def test_every_dependency_has_one_exact_version_that_fits() -> None:
    pinned = [Requirement(line) for line in lines_of("constraints.txt")]
    versions = {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in pinned}
    assert len(versions) == len(pinned)
    assert all(str(each.specifier).startswith("==") and each.url is None for each in pinned)
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    for line in [*PYPROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]:
        wanted = Requirement(line)
        if wanted.name != "sondage":
            assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), line
    assert "+" not in versions["torch"], "a build tag would shut out the other builds"


def test_the_locks_name_no_host() -> None:
    locks = ["constraints.txt", "app/dashboard/package-lock.json"]
    for lock in locks:
        addresses = re.findall(r"\"resolved\"|https?://[^\s\"]+\.(?:whl|tgz|gz)", (ROOT / lock).read_text())
        assert not addresses, lock


def lines_of(path: str) -> list[str]:
    return [line for line in (ROOT / path).read_text().splitlines() if line and not line.startswith("#")]


# ---- make, hooks, CI


def targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.M)


def test_make_alone_lists_every_target() -> None:
    listed = make().stdout
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.M)
    assert phony is not None
    parts_of_check = {"check-python", "check-dashboard"}
    assert set(targets()) == set(phony[1].split()) - parts_of_check
    assert re.findall(r"^  make ([a-z-]+) ", listed, re.M) == targets()
    assert {"demo", "up", "test", "check", "bench", "migrate"} <= set(targets())


@pytest.mark.parametrize("target", targets())
def test_every_target_can_be_made(target: str) -> None:
    planned = make("--dry-run", target)
    assert planned.returncode == 0, planned.stderr
    for module in re.findall(r"-m ([a-z_.]+)(?=\s)", planned.stdout):
        assert runnable(module), module


def test_benchmarks_are_short_unless_asked_otherwise() -> None:
    assert "benchmarks.$name --quick" in make("--dry-run", "bench").stdout
    assert "benchmarks.$name --check" in make("--dry-run", "bench", "ARGS=--check").stdout


def test_hooks_use_the_locked_tools() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program, first = shlex.split(hook["entry"])[:2] if " " in hook["entry"] else (hook["entry"], "")
        assert hook["language"] == "system"
        if program == "make":
            assert re.search(rf"^{first}:", MAKEFILE, re.M)
        else:
            package = {"ruff": "ruff", "mypy": "mypy", "lint-imports": "import-linter"}[Path(program).name]
            assert program.startswith(".venv/bin/")
            assert any(line.startswith(f"{package}==") for line in lines_of("constraints.txt"))


def test_ci_runs_the_checks_and_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert text.splitlines()[-2:] == ["make check", "make test"]


@pytest.mark.parametrize("script", ["tools/setup.sh", "tools/npm.sh", ".ci/run"])
def test_scripts_parse(script: str) -> None:
    shell = (ROOT / script).read_text().splitlines()[0].removeprefix("#!").split()
    parsed = subprocess.run([*shell, "-n", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (parsed.returncode, parsed.stderr) == (0, "")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Without what a `make test ARGS=…` around this test hands down."""
    handed_down = ("MAKE", "ARGS", "FILE", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(handed_down)}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def runnable(module: str) -> bool:
    """Can `python -m module` start?"""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return False
    return (
        spec.submodule_search_locations is None or importlib.util.find_spec(f"{module}.__main__") is not None
    )


# ---- the README


def tree_paths() -> list[str]:
    """The paths that the README's tree names, with their parents."""
    block = next(
        part for part in (ROOT / "README.md").read_text().split("```") if part.lstrip().startswith("app/")
    )
    paths, parent = [], ""
    for line in block.strip().splitlines():
        name = line.split()[0]
        nested = line.startswith(" ")
        parent = parent if nested else name
        paths.append(parent + name if nested else name)
    return paths


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    named = tree_paths()
    assert [path for path in named if not (ROOT / path).is_dir()] == []
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: which folders belong to the project is not known")
    folders = {path.split("/")[0] + "/" for path in listed.stdout.splitlines() if "/" in path}
    assert {folder for folder in folders if not folder.startswith(".")} == {
        path for path in named if path.count("/") == 1
    }


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
