"""③ Files of records onto a dataset that is there: its keys come all at once, and say which row is which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sondage.client import Client
from sondage.errors import InvalidRows, Unavailable

NUM = 70_000
"""More than the server sends in one piece."""


def test_records_find_their_examples_by_key(client: Client, tmp_path: Path) -> None:
    keys, labels = np.array([f"img {at}.png" for at in range(NUM)]), np.arange(NUM) % 3
    loss = np.random.default_rng(0).gamma(2, 1, (NUM, 2)).astype(np.float32)
    np.savez(tmp_path / "by-key.npz", loss=loss, keys=keys, labels=labels)
    client.import_records(tmp_path / "by-key.npz", dataset="by-key")
    assert client.datasets.keys("by-key") == keys.tolist()

    order = np.random.default_rng(1).permutation(NUM)[: NUM - 7]
    np.savez(tmp_path / "by-key-again.npz", loss=loss[order] + 1, keys=keys[order])
    run = client.import_records(tmp_path / "by-key-again.npz", dataset="by-key")
    found = client.runs.curves(run)
    np.testing.assert_array_equal(found[order], loss[order] + 1)
    assert np.isnan(found[np.setdiff1d(np.arange(NUM), order)]).all()
    assert run.dataset_id == client.datasets.get("by-key").id

    np.savez(tmp_path / "by-key-strange.npz", loss=loss[:2], keys=np.array([keys[5], "strange"]))
    with pytest.raises(InvalidRows, match="'strange'") as refused:
        client.import_records(tmp_path / "by-key-strange.npz", dataset="by-key")
    assert [row.index for row in refused.value.rows] == [1]


def test_keys_that_broke_off_are_no_dataset(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = np.ones((4, 1), np.float32)
    np.savez(tmp_path / "whole.npz", loss=loss, keys=np.array(list("abcd")), labels=np.array([0, 1, 0, 1]))
    client.import_records(tmp_path / "whole.npz", dataset="cut-short", run="whole")
    monkeypatch.setattr(client.datasets, "keys", lambda dataset: ["a", "b"])
    with pytest.raises(Unavailable, match="2 came"):
        client.import_records(tmp_path / "whole.npz", dataset="cut-short", run="again")
