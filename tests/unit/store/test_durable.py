"""⑥ What a power cut may not take: names are synced in the folders that hold them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from store.durable import make_folder, rename
from store.payloads import Form, PayloadWriter


class Watched:
    """The folders and files that were synced, and the renames between, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str | int] = []
        real_sync, real_rename = os.fsync, Path.rename

        def sync(descriptor: int) -> None:
            self.events.append(os.fstat(descriptor).st_ino)
            real_sync(descriptor)

        def renamed(path: Path, target: Path) -> Path:
            self.events.append(f"{path.name} to {Path(target).name}")
            return real_rename(path, target)

        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(Path, "rename", renamed)

    def place(self, path: Path) -> int:
        """Of the last sync of it."""
        return len(self.events) - 1 - self.events[::-1].index(path.stat().st_ino)


def test_a_rename_is_synced_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    watched = Watched(monkeypatch)
    rename(tmp_path / "a", tmp_path / "b")
    assert watched.events == [(tmp_path / "b").stat().st_ino, "a to b", tmp_path.stat().st_ino]


def test_folders_that_were_missing_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    make_folder(tmp_path / "data" / "uploads" / "x")
    assert watched.events == [tmp_path.stat().st_ino, (tmp_path / "data").stat().st_ino]
    make_folder(tmp_path / "data" / "uploads" / "y")
    assert len(watched.events) == 2, "what was there is not synced again"
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "data" / "uploads" / "y")


def test_a_payload_is_whole_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    with PayloadWriter(tmp_path / "datasets") as writer:
        writer.start(Form.VALUES, row_shape=(2,))
        writer.add(np.zeros((3, 2), np.float32))
        name = writer.folder.name
        writer.publish(tmp_path / "datasets" / "7")
    there = tmp_path / "datasets" / "7"
    renamed = watched.events.index(f"{name} to 7")
    for path in (there / "values.npy", there / "meta.json", there):
        assert watched.place(path) < renamed
    assert watched.place(tmp_path / "datasets") > renamed
