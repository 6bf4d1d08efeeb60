"""Checkpoints: durable, whole or not there, of this training and no other."""

import os

import pytest
import torch

from sondage.errors import Conflict
from worker.training.checkpoint import CheckpointStore


def state(epoch, training="a"):
    return {"training": training, "epoch": epoch, "model": {"w": torch.full((1000,), float(epoch))}}


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "run" / "checkpoints")


def test_what_is_saved_is_loaded(store):
    store.save(3, state(3))
    loaded = store.load(3)
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["model"]["w"], state(3)["model"]["w"])


def test_the_last_two_stay(store):
    for epoch in range(5):
        store.save(epoch, state(epoch))
    assert store.epochs() == [3, 4]
    assert sorted(os.listdir(store.folder)) == ["epoch-000003.ckpt", "epoch-000004.ckpt"]


def test_training_goes_on_from_the_last_committed_epoch(store):
    """Epoch 4 has a checkpoint but was not committed."""
    for epoch in (3, 4):
        store.save(epoch, state(epoch))
    next_epoch, loaded = store.load_latest(4, "a")
    assert (next_epoch, loaded["epoch"]) == (4, 3)


def test_nothing_there_means_from_the_beginning(store):
    assert store.load_latest(0, "a") == (0, None)
    assert store.load_latest(5, "a") == (0, None)
    assert store.load(0) is None


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(store, damage):
    for epoch in (3, 4):
        store.save(epoch, state(epoch))
    path = store.folder / "epoch-000004.ckpt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {
        "truncate": bytes(content[: len(content) // 2]), "flip": bytes(content), "empty": b"", "garbage": b"x" * 99
    }  # fmt: skip
    path.write_bytes(damaged[damage])
    assert store.load(4) is None
    next_epoch, loaded = store.load_latest(5, "a")
    assert (next_epoch, loaded["epoch"]) == (4, 3)


def test_a_crash_while_writing_leaves_the_old_ones(store, monkeypatch):
    store.save(0, state(0))

    def crash(descriptor):
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="No space"):
            store.save(1, state(1))
    assert store.epochs() == [0]
    store.save(1, state(1))
    assert store.load(1)["epoch"] == 1


def test_it_is_on_the_disk_before_it_has_its_name(store, monkeypatch):
    """A file is synced under another name, then renamed, then its folder is synced."""
    events = []
    real_fsync, real_replace = os.fsync, os.replace
    kinds = {True: "folder", False: "file"}
    monkeypatch.setattr(
        os, "fsync", lambda fd: (events.append(kinds[os.path.isdir(f"/dev/fd/{fd}")]), real_fsync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), real_replace(a, b)))
    store.save(0, state(0))
    assert events == ["file", "rename", "folder"]


def test_another_trainings_checkpoints_are_refused(store):
    store.save(0, state(0, training="b"))
    with pytest.raises(Conflict, match="another training"):
        store.load_latest(1, "a")


def test_a_future_that_is_trained_again_is_dropped(store):
    for epoch in (8, 9):
        store.save(epoch, state(epoch))
    store.save(0, state(0))
    assert store.epochs() == [0]


def test_clear_drops_all(store):
    store.save(0, state(0))
    store.clear()
    assert store.epochs() == []


def test_clear_drops_half_a_checkpoint_too_and_nothing_of_others(store):
    store.save(0, state(0))
    (store.folder / "epoch-000001.partial").write_bytes(b"half")
    store.clear()
    assert not store.folder.exists()
    store.clear()
    store.save(0, state(0))
    (store.folder / "notes.txt").write_text("mine")
    store.clear()
    assert os.listdir(store.folder) == ["notes.txt"]
