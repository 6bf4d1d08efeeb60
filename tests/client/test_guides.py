"""The guides' examples, done from top to bottom on a real server."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (GUIDES / page).read_text(), re.M | re.S)


def test_the_command_line_guide(
    sondage: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    np.savez("vectors.npz", images=rng.normal(size=(120, 4)).astype("float32"), classes=np.arange(120) % 3)
    rows = [f"r{number},{number % 5 + 1},word{number % 7} of a review" for number in range(80)]
    Path("reviews.csv").write_text("\n".join(["id,stars,text", *rows, "r80,,no stars"]) + "\n")
    Path("recipe.json").write_text(blocks("command-line.md", "json")[0])
    Path("known.csv").write_text(blocks("command-line.md", "csv")[0])
    lines = [line for block in blocks("command-line.md", "sh") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("sondage ")]
    assert len(commands) > 15
    said = {}
    for words in commands:
        code = sondage(*words)
        said[" ".join(words)] = capsys.readouterr()
        assert code == 0, (words, said[" ".join(words)].err)
    assert "noisy" in said["tags first"].out
    assert "precision" in said["report first"].out
    assert (
        "Left out 1 invalid rows"
        in said["dataset add reviews.csv --label-column stars --key-column id --skip-invalid"].err
    )
    assert "run" in said["dataset delete digits --dry-run"].err
    assert Path("tags.parquet").stat().st_size > 0
    assert Path("open.csv").read_text().startswith("index,")


def test_the_python_guide(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SONDAGE_URL", server_url)
    names: dict[str, object] = {}
    for text in blocks("python-client.md", "python"):
        exec(compile(text, "python-client.md", "exec"), names)  # noqa: S102  # our own page
    client, loss, frame = names["client"], names["loss"], names["frame"]
    assert loss.shape[1] == 4  # type: ignore[attr-defined]
    assert loss.shape[0] > 1797  # type: ignore[attr-defined]
    assert (frame["suspicion"] >= 0.5).all()  # type: ignore[index]
    assert Path("suspicious.parquet").stat().st_size > 0
    client.close()  # type: ignore[attr-defined]
