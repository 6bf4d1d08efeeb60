"""① Registering, end to end: every kind of source once, the same twice, what is refused, and nothing half there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
from PIL import Image

from store import examples
from store.payloads import open_payload
from tests.worker_jobs.worlds import World, kill, wait_until

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def sources(world: World) -> Path:
    folder = world.data_dir / "sources"
    folder.mkdir()
    world.settings["SONDAGE_SOURCE_ROOTS"] = str(folder)
    return folder


@pytest.fixture(scope="module")
def listening(sources, busy_world) -> World:
    return busy_world


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8), value).save(out, "PNG")
    return out.getvalue()


def npz(folder: Path) -> dict:
    np.savez(folder / "v.npz", x_train=RNG.normal(size=(20, 3)).astype(np.float32), y_train=np.arange(20) % 2)
    return {"kind": "npz", "path": "v.npz"}


def parquet(folder: Path) -> dict:
    pictures = [{"bytes": png(value), "path": f"{value}.png"} for value in range(12)]
    pd.DataFrame({"image": pictures, "label": np.arange(12) % 3}).to_parquet(folder / "p.parquet")
    return {"kind": "parquet", "path": "p.parquet"}


def csv(folder: Path) -> dict:
    table = {"id": [f"k{row}" for row in range(12)], "a": np.arange(12.0), "label": ["x", "y"] * 6}
    pd.DataFrame(table).to_csv(folder / "t.csv", index=False)
    return {"kind": "csv", "path": "t.csv", "key_column": "id"}


def imagefolder(folder: Path) -> dict:
    for place in range(8):
        file = folder / "pictures" / ("cat" if place % 2 else "dog") / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(place))
    return {"kind": "imagefolder", "path": "pictures"}


def digits(folder: Path) -> dict:
    return {"kind": "digits", "limit": 100, "validation_share": 0.2}


SOURCES = {
    npz: (20, "vector"),
    parquet: (12, "image"),
    csv: (12, "table"),
    imagefolder: (8, "image"),
    digits: (100, "image"),
}


@pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)
def test_every_kind_of_source(listening, sources, make):
    num, modality = SOURCES[make]
    job = listening.succeed(listening.register(make(sources), name=make.__name__))
    assert (job.attempt, job.result["is_new"], job.result["num_skipped"]) == (1, True, 0)
    dataset = listening.dataset(job.id)
    assert (dataset.name, dataset.version) == (make.__name__, 1)
    assert dataset.modality == modality
    payload = open_payload(listening.data_dir / dataset.payload)
    with listening.session() as session:
        columns = examples.columns(session, dataset_id=dataset.id)
    assert payload.num_rows == dataset.num_examples == len(columns.labels)
    assert dataset.num_examples >= num
    assert sum(dataset.splits.values()) == dataset.num_examples


def test_the_same_again_is_the_one_that_is_there(listening, sources):
    first = listening.succeed(listening.register(npz(sources), name="twice"))
    folders = sorted(path.name for path in (listening.data_dir / "datasets").iterdir())
    second = listening.succeed(listening.register({"kind": "npz", "path": "v.npz"}, name="twice"))
    assert first.result["is_new"]
    assert not second.result["is_new"]
    assert first.dataset_id == second.dataset_id
    assert sorted(path.name for path in (listening.data_dir / "datasets").iterdir()) == folders


def everything(world: World) -> tuple[int, int, list[str]]:
    """Datasets, examples, payload folders, partial ones too."""
    folder = world.data_dir / "datasets"
    return (
        world.scalar("SELECT count(*) FROM datasets"),
        world.scalar("SELECT count(*) FROM examples"),
        sorted(path.name for path in folder.iterdir()) if folder.exists() else [],
    )


def missing_labels(folder: Path) -> dict:
    pd.DataFrame({"a": [1.0, 2.0, 3.0], "label": ["x", None, "y"]}).to_csv(folder / "bad.csv", index=False)
    return {"kind": "csv", "path": "bad.csv"}


def one_class(folder: Path) -> dict:
    np.savez(folder / "one.npz", x_train=np.ones((5, 2), np.float32), y_train=np.zeros(5, int))
    return {"kind": "npz", "path": "one.npz"}


def broken_picture(folder: Path) -> dict:
    pictures = [{"bytes": png(1), "path": None}, {"bytes": b"no picture", "path": None}]
    pd.DataFrame({"image": pictures, "label": [0, 1]}).to_parquet(folder / "broken.parquet")
    return {"kind": "parquet", "path": "broken.parquet"}


def outside(folder: Path) -> dict:
    return {"kind": "csv", "path": "/etc/passwd"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (missing_labels, ("Row 1", "label")),
        (one_class, ("class",)),
        (broken_picture, ("Row 1",)),
        (outside, ("SONDAGE_SOURCE_ROOTS",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_input_is_refused_in_words_and_leaves_nothing(listening, sources, make, words):
    before = everything(listening)
    job = listening.wait_for(listening.register(make(sources), name="bad"))
    assert job.state == "failed"
    assert job.attempt == 1
    assert job.dataset_id is None
    for word in words:
        assert word in job.error
    assert "fault of Sondage" not in job.error
    assert everything(listening) == before


def test_an_upload_goes_once_it_is_a_dataset_and_stays_while_it_is_none(listening, sources):
    upload = listening.data_dir / "uploads" / "u1"
    upload.mkdir(parents=True)
    (upload / "t.csv").write_text("a,label\n1,x\n2,\n")
    source = {"kind": "csv", "path": "upload:u1"}
    assert listening.wait_for(listening.register(source, name="uploaded")).state == "failed"
    assert upload.exists()
    (upload / "t.csv").write_text("a,label\n1,x\n2,y\n")
    listening.succeed(listening.register(source, name="uploaded"))
    wait_until(lambda: not upload.exists(), "the upload goes, after the job has told its end")


def waits_for(world: World, table: str) -> None:
    query = f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted"  # noqa: S608
    wait_until(lambda: world.scalar(query), f"the job waits for {table}")


@pytest.mark.parametrize("published", [False, True], ids=["payload beside its place", "payload in its place"])
def test_killed_while_registering_it_is_done_anew(listening, published):
    """Killed with its payload written, and its rows not committed."""
    datasets, _, folders = everything(listening)
    address = listening.database.conninfo
    with psycopg.connect(address) as rows, psycopg.connect(address) as end:
        rows.execute("LOCK TABLE examples IN SHARE MODE")
        number = listening.register({"kind": "digits", "limit": 101 + published}, name="killed")
        waits_for(listening, "examples")
        if published:
            end.execute("LOCK TABLE jobs IN SHARE MODE")
            rows.rollback()
            waits_for(listening, "jobs")
        half = set(everything(listening)[2]) - set(folders)
        assert [name.startswith(".") for name in half] == [not published]
        kill(listening.child())
    assert listening.succeed(number).attempt == 2
    after = everything(listening)
    assert after[0] == datasets + 1
    made = set(after[2]) - set(folders)
    assert made == {Path(listening.dataset(number).payload).name}
    assert not made & half
