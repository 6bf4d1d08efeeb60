"""Examples of each modality, and their pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from store import projects
from store.engine import transaction
from tests.api.worlds import CLASSES, NUM_MADE, N, World, add_dataset, write_table, write_texts


def test_examples_by_index_and_filter(read_world: World) -> None:
    path = f"/datasets/{read_world.dataset}/examples"
    first = read_world.get(path + "?limit=3")
    assert [one["index"] for one in first["items"]] == [0, 1, 2]
    rest = read_world.get(path + f"?limit=1000&cursor={first['next_cursor']}")
    assert [one["index"] for one in rest["items"]] == list(range(3, N))
    assert {one["label_name"] for one in read_world.get(path + "?label=dog")["items"]} == {"dog"}
    assert read_world.get(path + "?label=1")["items"] == read_world.get(path + "?label=dog")["items"]
    assert {one["split"] for one in read_world.get(path + "?split=validation")["items"]} == {"validation"}
    assert [one["index"] for one in read_world.get(path + "?key=k7")["items"]] == [7]
    assert read_world.get(path + "?label=cow", 422)["errors"][0]["field"] == "label"
    assert read_world.get("/datasets/999/examples", 404)["code"] == "not_found"


def test_one_example(read_world: World) -> None:
    path = f"/datasets/{read_world.dataset}/examples"
    one = read_world.get(f"{path}/1")
    assert (one["key"], one["label"], one["label_name"], one["split"]) == ("k1", 1, "dog", "train")
    assert (one["text"], one["values"]) == (None, None)
    read_world.get(f"{path}/{N}", 404)


def test_a_thumbnail_is_the_picture(read_world: World) -> None:
    one = read_world.get(f"/datasets/{read_world.dataset}/examples/1")
    response = read_world.client.get(one["picture_url"])
    pixels = np.asarray(Image.open(io.BytesIO(response.content)))
    assert pixels.tolist() == np.arange(64, 128).reshape(8, 8).tolist()


def test_a_browser_keeps_a_thumbnail_whose_address_names_the_content(read_world: World) -> None:
    url = read_world.get(f"/datasets/{read_world.dataset}/examples/1")["picture_url"]
    client = read_world.client
    kept = client.get(url)
    assert "immutable" in kept.headers["cache-control"]
    assert client.get(url, headers={"If-None-Match": kept.headers["etag"]}).status_code == 304
    assert client.get(url + "&size=32", headers={"If-None-Match": kept.headers["etag"]}).status_code == 200
    for other in (url.partition("?")[0], url.partition("?")[0] + "?v=old"):
        assert client.get(other).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("size", [0, 7, 2000])
def test_sizes_have_bounds(read_world: World, size: int) -> None:
    read_world.get(f"/datasets/{read_world.dataset}/examples/1/thumbnail?size={size}", 422)


def test_pictures_of_made_probes(read_world: World) -> None:
    run = read_world.runs[0]
    client, url = read_world.client, f"{read_world.url}/runs/{run}/rows"
    made = client.get(f"{url}/{N}/thumbnail")
    assert np.asarray(Image.open(io.BytesIO(made.content))).tolist() == np.full((8, 8), 200).tolist()
    of_example = client.get(f"{url}/1/thumbnail").content
    assert (
        of_example
        == client.get(f"{read_world.url}/datasets/{read_world.dataset}/examples/1/thumbnail").content
    )
    assert client.get(f"{url}/{N + NUM_MADE}/thumbnail").status_code == 404


def test_missing_pictures_are_not_found(read_world: World) -> None:
    read_world.get(f"/datasets/{read_world.dataset}/examples/{N}/thumbnail", 404)
    read_world.get("/datasets/999/examples/0/thumbnail", 404)


def test_texts_and_tables(empty: World) -> None:
    keys, splits = ["a", "b"], ["train", "test"]
    with transaction(empty.database.engine) as session:
        project = projects.by_name(session, name="default")
        texts = add_dataset(session, project, "reviews", "text", keys, splits)
        table = add_dataset(session, project, "people", "table", keys, splits)
        folder = empty.settings.data_dir
        write_texts(folder / texts.payload, ["good " * 1000, "bad"])
        write_table(folder / table.payload, [31.5, 7.0], ["cook", "poet"])
        numbers = texts.id, table.id
    listed = empty.get(f"/datasets/{numbers[0]}/examples")["items"]
    assert len(listed[0]["text"]) < 1000
    assert listed[1]["text"] == "bad"
    assert empty.get(f"/datasets/{numbers[0]}/examples/0")["text"] == "good " * 1000
    assert listed[0]["picture_url"] is None
    assert empty.get(f"/datasets/{numbers[0]}/examples/0/thumbnail", 404)["code"] == "not_found"
    assert empty.get(f"/datasets/{numbers[1]}/examples")["items"][1]["values"] == {"age": 7.0, "job": "poet"}
    assert CLASSES[0] == listed[0]["label_name"]


def test_a_payload_that_is_gone_is_named(world: World) -> None:
    import shutil

    shutil.rmtree(world.settings.data_dir / "datasets" / str(world.dataset))
    body = world.get(f"/datasets/{world.dataset}/examples/0/thumbnail", 500)
    assert body["code"] == "data_folder"
    assert "backup" in body["detail"]
