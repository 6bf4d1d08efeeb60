"""Files that know whether they are whole, and a folder that belongs to one process."""

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.recorder.parcel import Parcel
from sondage.recorder.spool import RankState, RunFolder, RunSpec, run_folders

PARCEL = Parcel(
    epoch=3,
    rank=1,
    num_rows=3,
    channels={"loss": np.array([1, np.nan, np.inf], np.float16), "predicted": np.array([1, -1, 2], np.int32)},
    metrics={"accuracy": 0.5, "note": "fine", "none": None},
    counts={"loss": 2, "predicted": 2},
    coverage=2 / 3,
)


def spec(run="r", project="p"):
    return RunSpec(
        url=None, project=project, dataset="d", run=run, num_epochs=None, num_examples=3,
        channels={"loss": "float16"}, protocol={"pass": "training"}, world_size=1, client_version="0", session="s",
    )  # fmt: skip


def test_a_parcel_comes_back_as_it_was():
    again = Parcel.from_bytes(PARCEL.to_bytes())
    for name, values in PARCEL.channels.items():
        np.testing.assert_array_equal(again.channels[name], values)
        assert again.channels[name].dtype == values.dtype
    for name in ("epoch", "rank", "num_rows", "metrics", "counts", "coverage"):
        assert getattr(again, name) == getattr(PARCEL, name)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:40], lambda b: b"", lambda b: b[:60] + b"x" + b[61:]]
)
def test_damage_is_seen(damage):
    with pytest.raises(InvalidInput, match="checksum"):
        Parcel.from_bytes(damage(PARCEL.to_bytes()))


def test_an_emptied_parcel_says_that_it_is_lost():
    empty = Parcel.from_bytes(PARCEL.emptied().to_bytes())
    assert dict(empty.channels) == {}
    assert (empty.coverage, empty.metrics["lost"], empty.num_bytes) == (0, True, 0)


def test_a_run_has_the_same_folder_every_time_and_no_other_run_has(tmp_path):
    names = [("r", "p"), ("r", "q"), ("r/../x", "p"), ("r x", "p"), ("r-x", "p")]
    paths = [RunFolder.of(tmp_path, spec(run, project), 0).path for run, project in names]
    assert len(set(paths)) == len(paths)
    assert all(path.parent == tmp_path for path in paths)
    assert RunFolder.of(tmp_path, spec(), 5).path == paths[0]


def test_what_is_written_is_read(tmp_path):
    folder = RunFolder.of(tmp_path, spec(), 1)
    folder.acquire()
    folder.write_spec(spec(), b"arrow")
    folder.write_epoch(PARCEL)
    assert folder.spec() == spec()
    assert folder.dataset() == b"arrow"
    assert folder.epochs() == [3]
    assert folder.next_epoch() == 4
    folder.write_state(RankState(9, 4, "finished"))
    assert folder.state() == RankState(9, 4, "finished")
    assert folder.next_epoch() == 9
    assert run_folders(tmp_path) == run_folders(folder.path) == [folder.path]
    assert not list(tmp_path.rglob("*.part"))
    folder.release()


def test_the_last_process_takes_the_folder_away(tmp_path):
    first, second = (RunFolder.of(tmp_path, spec(), rank) for rank in (0, 1))
    for folder in (first, second):
        folder.acquire()
        folder.write_spec(spec())
        folder.write_state(RankState())
    first.delete()
    assert second.spec() == spec()
    second.delete()
    assert list(tmp_path.iterdir()) == []


def test_a_spec_of_another_version_is_said(tmp_path):
    folder = RunFolder.of(tmp_path, spec(), 0)
    folder.acquire()
    (folder.path / "run.json").write_text('{"something": "else"}')
    with pytest.raises(InvalidInput, match="this version"):
        folder.spec()
    folder.release()
