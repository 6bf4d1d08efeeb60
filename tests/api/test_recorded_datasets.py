"""Datasets of keys and labels alone: what is taken, what is refused row by row, and what can be done without inputs."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.api import datasets as api_datasets
from app.recording import datasets as recorded
from sondage.recorder.dataset import Examples
from store import datasets, projects, runs, suites, sweep
from store.engine import transaction
from store.tables import Dataset, Example, Job, Project
from tests.api.recorders import ARROW, arrow_stream, recorder, some_dataset
from tests.api.worlds import World, add_tagging, write_pixels

LABELS = pa.array([0, 1, 2, 1], pa.int32())


def send(world: World, columns: dict[str, Any], class_names: list[str] | None = None, **headers: str) -> Any:
    body = arrow_stream(columns, class_names)
    url = world.url + "/datasets/recorded?name=mine"
    return world.client.post(url, content=body, headers={**ARROW, **headers})


def test_keys_labels_and_splits(empty: World) -> None:
    splits = ["train", "train", "test", "validation"]
    response = send(empty, {"key": ["a", "b", "c", "ä"], "label": LABELS, "split": splits}, ["x", "y", "z"])
    assert response.status_code == 201
    found = response.json()
    assert (found["modality"], found["num_examples"], found["version"]) == ("none", 4, 1)
    assert found["splits"] == {"test": 1, "train": 2, "validation": 1}
    assert found["class_names"] == ["x", "y", "z"]
    assert response.headers["location"] == f"{empty.url}/datasets/{found['id']}"
    listed = empty.get(f"/datasets/{found['id']}/examples")["items"]
    assert [(one["key"], one["label_name"], one["split"]) for one in listed] == [
        ("a", "x", "train"), ("b", "y", "train"), ("c", "z", "test"), ("ä", "y", "validation")
    ]  # fmt: skip


def test_without_keys_the_position_is_the_key(empty: World) -> None:
    found = send(empty, {"label": LABELS}).json()
    listed = empty.get(f"/datasets/{found['id']}/examples")["items"]
    assert [one["key"] for one in listed] == ["0", "1", "2", "3"]
    assert found["class_names"] == ["0", "1", "2"]
    assert found["splits"] == {"train": 4}
    same = send(empty, {"key": [0, 1, 2, 3], "label": LABELS.cast(pa.int64())})
    assert (same.status_code, same.json()["id"]) == (200, found["id"])


def test_the_same_content_is_the_same_version(empty: World) -> None:
    first = some_dataset(empty)
    assert some_dataset(empty)["id"] == first["id"]
    assert some_dataset(empty, name="other")["version"] == 1
    more = some_dataset(empty, num=11)
    assert (more["version"], more["fingerprint"] != first["fingerprint"]) == (2, True)


def test_all_keys_at_once(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_datasets, "KEYS_AT_ONCE", 3)
    keys = ["b", "a c", "ä\\n", "日本", "'%s\u2028", "z,", "last"]
    made = send(empty, {"key": keys, "label": pa.array([0, 1, 0, 1, 0, 1, 0], pa.int32())}).json()
    response = empty.client.get(f"{empty.url}/datasets/{made['id']}/keys")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-num-rows"] == "7"
    assert response.content.decode().split("\n") == [*keys, ""]
    empty.get("/datasets/999/keys", 404)
    said = empty.get(f"/datasets/{made['id']}/keys/digest")
    assert said == {"num_keys": 7, "sha256": hashlib.sha256(response.content).hexdigest()}
    assert Examples(ids=keys).digests()["ids"] == said["sha256"]
    empty.get("/datasets/999/keys/digest", 404)


def test_how_it_was_cut_makes_no_difference(tmp_path: Path) -> None:
    table = pa.table({"key": [f"k{at}" for at in range(50)], "label": np.arange(50) % 3})
    found = set()
    for size in (50, 7, 1):
        path = tmp_path / f"{size}"
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=size)
        found.add(recorded.read_dataset(path, name="d").fingerprint)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("columns", "index", "code"),
    [
        ({"label": pa.array([0, None, 1, 1], pa.int32())}, 1, "missing_label"),
        ({"label": pa.array([0, 1, -1, 1])}, 2, "unknown_label"),
        ({"label": pa.array([0, 1, 1, 3])}, 3, "unknown_label"),
        ({"key": ["a", "b", "c", "a"], "label": LABELS}, 3, "duplicate_key"),
        ({"key": ["a", None, "c", "d"], "label": LABELS}, 1, "bad_key"),
        ({"key": ["a", "b", "", "d"], "label": LABELS}, 2, "bad_key"),
        ({"key": ["a", "b\x00", "c", "d"], "label": LABELS}, 1, "bad_key"),
        ({"key": ["a" * 501, "b", "c", "d"], "label": LABELS}, 0, "bad_key"),
        ({"label": LABELS, "split": ["train", "dev", "test", "train"]}, 1, "unknown_split"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_stored(
    empty: World, columns: dict[str, Any], index: int, code: str
) -> None:
    response = send(empty, columns, ["x", "y", "z"])
    assert response.status_code == 422, response.text
    assert [(one["index"], one["code"]) for one in response.json()["errors"]] == [(index, code)]
    assert empty.get("/datasets")["items"] == []


@pytest.mark.parametrize(
    ("columns", "class_names", "words"),
    [
        ({"label": LABELS, "picture": [b"", b"", b"", b""]}, None, "Inputs are not taken"),
        ({"key": ["a", "b"]}, None, "send label"),
        ({"label": [0.0, 1.0]}, None, "class numbers"),
        ({"key": [0.5, 1.5], "label": [0, 1]}, None, "text or whole numbers"),
        ({"label": [0, 0]}, None, "two"),
        ({"label": [0, 1]}, ["x", "x"], "once"),
        ({"label": [0, 1]}, ["x" * 1_001, "y"], "1,001 characters; send names of up to 1,000"),
        ({"label": [0, 2_000_000_000]}, None, "classes"),
        ({"label": [0, 1], "split": ["test", "test"]}, None, "train"),
        ({"label": pa.array([], pa.int32())}, None, "no examples"),
    ],
)
def test_wrong_datasets(
    empty: World, columns: dict[str, Any], class_names: list[str] | None, words: str
) -> None:
    response = send(empty, columns, class_names)
    assert response.status_code == 422
    assert words in response.json()["detail"] + str(response.json()["errors"])


def test_bodies_that_are_no_arrow(empty: World) -> None:
    url = empty.url + "/datasets/recorded?name=mine"
    assert empty.client.post(url, content=b"nothing", headers=ARROW).status_code == 422
    assert empty.client.post(url, content=b"", headers=ARROW).status_code == 422
    assert empty.client.post(url, json={}).status_code == 415
    body = arrow_stream({"label": LABELS})
    for cut in (len(body) - 40, 60):
        assert empty.client.post(url, content=body[:cut], headers=ARROW).status_code == 422
    packed = {**ARROW, "Content-Encoding": "gzip"}
    assert empty.client.post(url, content=gzip.compress(body), headers=packed).status_code == 201
    assert empty.client.post(url, content=b"no gzip", headers=packed).status_code == 422
    assert (
        empty.client.post(url, content=body, headers={**ARROW, "Content-Encoding": "br"}).status_code == 415
    )
    assert list((empty.settings.data_dir / "uploads").iterdir()) == [], "nothing is left of what was received"


def test_too_many_examples(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MAX_EXAMPLES", 3)
    assert "more than 3" in send(empty, {"label": LABELS}).json()["detail"]


def test_the_same_request_takes_effect_once(empty: World) -> None:
    key = {"Idempotency-Key": "abc"}
    first = send(empty, {"label": LABELS}, **key)
    assert send(empty, {"label": LABELS}, **key).json() == first.json()
    assert send(empty, {"label": pa.array([0, 1], pa.int32())}, **key).status_code == 409


# ---- what can be done without inputs


def test_examples_have_no_picture_and_no_preview(empty: World) -> None:
    number = some_dataset(empty)["id"]
    example = empty.get(f"/datasets/{number}/examples/3")
    assert (example["key"], example["text"], example["values"], example["picture_url"]) == (
        "k3",
        None,
        None,
        None,
    )
    problem = empty.get(f"/datasets/{number}/examples/3/thumbnail", status=404)
    assert "no inputs" in problem["detail"]


def test_no_training_on_it(empty: World) -> None:
    number = some_dataset(empty)["id"]
    problem = empty.post("/runs", 422, json={"name": "r", "dataset_id": number})
    assert "has no inputs" in problem["detail"]
    assert problem["errors"][0]["field"] == "dataset_id"
    assert empty.get("/runs")["items"] == []


def test_tags_are_shown_by_key_and_label(empty: World) -> None:
    run = recorder(empty, num=40)
    run.put_all(0)
    run.close(0)
    run.post("finish")
    with transaction(empty.database.engine) as session:
        project = session.query(Project).one()
        suite = suites.add(session, project_id=project.id, name="s", digest="d", definition={})
        found = runs.get(session, project_id=project.id, run_id=run.id)
        dataset = session.get_one(Dataset, run.body["dataset_id"])
        tagging = add_tagging(session, project, dataset, suite, [found]).id
    listed = empty.get(f"/taggings/{tagging}/tags?limit=3")["items"]
    assert [(one["key"], one["text"], one["picture_url"]) for one in listed] == [
        (f"k{at}", None, None) for at in (0, 1, 2)
    ]
    assert empty.get(f"/taggings/{tagging}/tags/1")["key"] == "k1"
    assert empty.client.get(f"{empty.url}/taggings/{tagging}/tags/export?format=csv").status_code == 200


def with_pictures(world: World, dataset_id: int, fingerprint: str = "e" * 64) -> Path:
    """What the job does at its end."""
    folder = world.settings.data_dir / "datasets" / f"{dataset_id}-{'0' * 16}"
    folder.parent.mkdir(exist_ok=True)
    write_pixels(folder, np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1))
    with transaction(world.database.engine) as session:
        project = projects.ensure(session)
        held = datasets.hold(session, project_id=project.id, dataset_id=dataset_id)
        provenance = {"kind": "npz", "fingerprint": fingerprint}
        payload = f"datasets/{folder.name}"
        datasets.add_inputs(session, dataset=held, modality="image", payload=payload, provenance=provenance)
    return folder


def test_adding_inputs_is_a_job(empty: World) -> None:
    dataset = send(empty, {"label": LABELS}).json()
    path = f"/datasets/{dataset['id']}/inputs"
    source = {
        "kind": "npz",
        "path": f"upload:{empty.post('/uploads?filename=a.npz', 201, content=b'x')['id']}",
    }
    job = empty.post(path, 202, json={"source": source, "skip_unknown": True})
    assert (job["kind"], job["dataset_id"], job["state"]) == ("register", dataset["id"], "queued")
    with transaction(empty.database.engine) as session:
        assert sweep.uploads_to_read(session) == {source["path"].removeprefix("upload:")}
        arguments = session.get_one(Job, job["id"]).arguments
        assert arguments["inputs"] == {"match": "key", "labels": "same", "skip_unknown": True}
    assert empty.client.delete(f"{empty.url}/datasets/{dataset['id']}").status_code == 409, "a job is at work"
    empty.post("/datasets/999/inputs", 404, json={"source": source})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"source": {"kind": "npz", "path": "upload:0", "limit": 3}}, "limit chooses or changes"),
        ({"source": {"kind": "npz", "path": "upload:0", "skip_invalid": True}}, "skip_invalid chooses"),
        ({"source": {"kind": "npz", "path": "upload:0", "noise": {"share": 0.1}}}, "noise chooses"),
        (
            {"source": {"kind": "npz", "path": "upload:0", "validation_share": 0.1}},
            "validation_share chooses",
        ),
        ({"source": {"kind": "digits"}, "match": "order", "skip_unknown": True}, "skip_unknown is for rows"),
        ({"source": {"kind": "digits"}, "match": "place"}, "'key' or 'order'"),
        ({"source": {"kind": "npz"}}, "needs a `path`"),
    ],
)
def test_what_makes_no_inputs(empty: World, body: dict[str, Any], words: str) -> None:
    dataset = send(empty, {"label": LABELS}).json()
    refused = empty.post(f"/datasets/{dataset['id']}/inputs", 422, json=body)
    assert words in str(refused)
    assert empty.get("/jobs")["items"] == []


def test_a_dataset_registered_with_inputs_keeps_them(world: World) -> None:
    source = {"source": {"kind": "digits"}}
    refused = world.post(f"/datasets/{world.dataset}/inputs", 409, json=source)
    assert "was registered with its inputs" in refused["detail"]


def test_inputs_appear_in_what_is_there_already(empty: World) -> None:
    """Seen before and after: the same version, its tags and its curves, now with pictures."""
    run = recorder(empty, num=4)
    run.put_all(0)
    run.close(0)
    run.post("finish")
    number = run.body["dataset_id"]
    before = empty.get(f"/datasets/{number}")
    empty.get(f"/datasets/{number}/examples/1/thumbnail", 404)
    with_pictures(empty, number)
    after = empty.get(f"/datasets/{number}")
    assert after | {"modality": "none", "source": before["source"]} == before
    assert after["modality"] == "image"
    assert after["source"]["inputs"]["kind"] == "npz"
    example = empty.get(f"/datasets/{number}/examples/1")
    assert example["picture_url"].endswith(f"?v={'e' * 16}"), "not by the fingerprint of the labels"
    picture = empty.client.get(example["picture_url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert "immutable" in picture.headers["cache-control"]
    assert some_dataset(empty, 4)["id"] == number, "announced again by the recorder, it is the same one"
    assert empty.post("/runs", 202, json={"name": "ours", "dataset_id": number, "suite": None})["runs"]
    empty.post(
        f"/datasets/{number}/inputs", 202, json={"source": {"kind": "digits"}}
    )  # the job compares them


def test_deleting_it_takes_its_inputs_along(empty: World) -> None:
    dataset, other = send(empty, {"label": LABELS}).json(), some_dataset(empty, 4)
    folder, cache = with_pictures(empty, dataset["id"]), empty.settings.data_dir / "cache" / ("e" * 64)
    kept = with_pictures(empty, other["id"])
    cache.mkdir(parents=True)
    empty.client.delete(f"{empty.url}/datasets/{dataset['id']}").raise_for_status()
    assert not folder.exists()
    assert cache.exists(), "another has the same inputs"
    empty.client.delete(f"{empty.url}/datasets/{other['id']}").raise_for_status()
    assert not kept.exists()
    assert not cache.exists()


def test_deleting_it_leaves_the_data_folder_alone(empty: World) -> None:
    """Its payload is the empty path: the folder of that would be all there is."""
    beside = empty.settings.data_dir / "datasets" / "99"
    beside.mkdir(parents=True)
    run = recorder(empty)
    empty.delete(f"/datasets/{run.body['dataset_id']}?cascade=true")
    assert beside.exists()
    with transaction(empty.database.engine) as session:
        assert session.query(Example).count() == 0
