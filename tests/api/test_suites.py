"""Suites: of generators, and uploaded in each form, row by row."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from app.api import bulk
from sondage.probes.suite import SuiteDefinition
from store import suites
from store.engine import transaction
from store.tables import Suite
from tests.api.worlds import NUM_TRAIN, N, World


def members(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "category": category} for key, category in pairs]


def body(dataset: int, rows: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    return {"name": "known", "dataset_id": dataset, "members": rows, **more}


def some(count: int = 12) -> list[dict[str, str]]:
    return members(*((f"k{index}", "noisy" if index % 2 else "prototypical") for index in range(count)))


def test_a_suite_of_generators(empty: World) -> None:
    response = empty.client.post(empty.url + "/suites", json={"name": "small", "generators": [
        {"name": "flip", "count": 20}, {"name": "corrupt", "count": 20, "parameters": {"strength": 0.3}}]})  # fmt: skip
    assert response.status_code == 201
    made = response.json()
    assert (made["version"], made["kind"], made["num_members"]) == (1, "generated", None)
    assert response.headers["location"] == f"{empty.url}/suites/{made['id']}"
    definition = SuiteDefinition.from_dict(made["definition"])
    assert definition.digest() == made["digest"]
    assert [generator.category for generator in definition.generators] == ["noisy", "corrupted"]
    assert empty.get(f"/suites/{made['id']}") == made


def test_the_same_definition_is_the_same_version(empty: World) -> None:
    first = empty.post("/suites", 201, json={"name": "s"})
    assert empty.post("/suites", 201, json={"name": "s"}) == first
    assert empty.post("/suites", 201, json={"name": "s", "seed": 1})["version"] == 2
    assert [one["version"] for one in empty.get("/suites?name=s")["items"]] == [2, 1]


@pytest.mark.parametrize(
    "generators",
    [
        [],
        [{"name": "flip"}],
        [{"name": "flop"}],
        [{"name": "flip", "count": 1}],
        [{"name": "flip"}, {"name": "corrupt", "parameters": {"strength": 7}}],
        [{"name": "flip"}, {"name": "corrupt", "category": "mine"}],
    ],
)
def test_wrong_generators(empty: World, generators: list[dict[str, Any]]) -> None:
    assert empty.post("/suites", 422, json={"name": "s", "generators": generators})["errors"]
    assert empty.get("/suites")["items"] == []


def test_known_examples_by_key(world: World) -> None:
    made = world.post("/suites/upload", 201, json=body(world.dataset, some()))
    assert (made["kind"], made["num_members"], made["dataset_id"]) == ("uploaded", 12, world.dataset)
    assert "members" not in made["definition"]
    with transaction(world.database.engine) as session:
        stored = suites.members(session, suite_id=made["id"])
        assert [(one.index, one.category) for one in stored] == [
            (index, "noisy" if index % 2 else "prototypical") for index in range(12)
        ]
        for category in ("noisy", "prototypical"):
            roles = [one.role for one in stored if one.category == category]
            assert (roles.count("fit"), roles.count("held_out")) == (3, 3)
        definition = session.get_one(Suite, made["id"]).definition
    assert len(SuiteDefinition.from_dict(definition).members) == 12


def test_the_halves_depend_on_the_seed_and_not_on_the_order(world: World) -> None:
    def halves(rows: list[dict[str, str]], seed: int, name: str) -> list[str]:
        made = world.post("/suites/upload", 201, json=body(world.dataset, rows, seed=seed) | {"name": name})
        with transaction(world.database.engine) as session:
            return [one.role for one in suites.members(session, suite_id=made["id"])]

    rows = some(24)
    assert halves(rows, 0, "a") == halves(rows[::-1], 0, "b")
    assert any(halves(rows, 0, "a") != halves(rows, seed, "c") for seed in (1, 2, 3))


def test_few_probes_come_with_a_warning(world: World) -> None:
    made = world.post("/suites/upload", 201, json=body(world.dataset, some(20)))
    assert any("k = 1" in warning for warning in made["warnings"])
    assert world.get(f"/suites/{made['id']}")["warnings"] == made["warnings"]
    alone = body(world.dataset, [*some(4), *members(("k9", "ood"))]) | {"name": "alone"}
    assert any("ood" in warning for warning in world.post("/suites/upload", 201, json=alone)["warnings"])


def test_rows_that_come_twice_count_once(world: World) -> None:
    made = world.post("/suites/upload", 201, json=body(world.dataset, some() + some(3)))
    assert made["num_members"] == 12
    assert made["warnings"][0].startswith("3 rows came more than once")


def test_every_wrong_row_is_named_and_nothing_is_stored(world: World) -> None:
    rows = some(4) + members(
        ("nobody", "noisy"),
        ("k0", "noisy"),
        ("k5", "wrong-word"),
        (f"k{NUM_TRAIN}", "noisy"),
        ("k6", "noisy"),
    )
    refused = world.post("/suites/upload", 422, json=body(world.dataset, rows))
    assert refused["code"] == "invalid_rows"
    assert [(fault["index"], fault["code"]) for fault in refused["errors"]] == [
        (4, "unknown_key"),
        (5, "two_categories"),
        (6, "unknown_category"),
        (7, "not_in_train"),
    ]
    assert refused["detail"].startswith("4 rows")
    assert [one["name"] for one in world.get("/suites")["items"]] == ["default"]


def test_many_wrong_rows_are_counted_and_the_first_ones_listed(world: World) -> None:
    rows = some(2) + members(*((f"no{index}", "noisy") for index in range(250)))
    refused = world.post("/suites/upload", 422, json=body(world.dataset, rows))
    assert len(refused["errors"]) == 100
    assert refused["detail"].startswith("250 rows")


def test_categories_of_ones_own(world: World) -> None:
    own = [{"name": "blurred", "wrong_label": False}]
    rows = members(("k0", "blurred"), ("k1", "noisy"), ("k2", "blurred"), ("k3", "noisy"))
    made = world.post("/suites/upload", 201, json=body(world.dataset, rows, categories=own))
    assert made["definition"]["categories"] == own
    for wrong in (
        [{"name": "noisy", "wrong_label": False}],
        [{"name": "unsure"}],
        [{"name": "No Slug"}],
        own + own,
    ):
        world.post("/suites/upload", 422, json=body(world.dataset, rows + some(0), categories=wrong))


def test_one_category_tells_nothing_apart(world: World) -> None:
    rows = members(("k0", "noisy"), ("k1", "noisy"))
    assert (
        world.post("/suites/upload", 422, json=body(world.dataset, rows))["errors"][0]["field"] == "members"
    )
    world.post("/suites/upload", 422, json=body(world.dataset, []))
    world.post("/suites/upload", 404, json=body(999, some()))


def as_csv(rows: list[dict[str, str]]) -> bytes:
    return ("key,category\r\n" + "".join(f"{row['key']},{row['category']}\r\n" for row in rows)).encode(
        "utf-8-sig"
    )


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def as_ndjson(rows: list[dict[str, str]]) -> bytes:
    import json

    return "\n".join(json.dumps(row) for row in rows).encode()


FORMS = {
    "text/csv; charset=utf-8": as_csv,
    "application/vnd.apache.parquet": as_parquet,
    "application/x-ndjson": as_ndjson,
}


@pytest.mark.parametrize("media_type", FORMS)
def test_files_say_the_same_as_json(world: World, media_type: str) -> None:
    plain = world.post("/suites/upload", 201, json=body(world.dataset, some()))
    made = world.post(
        f"/suites/upload?name=known&dataset_id={world.dataset}",
        201,
        content=FORMS[media_type](some()),
        headers={"Content-Type": media_type},
    )
    assert made == plain


def test_own_categories_of_a_file_stand_in_the_address(world: World) -> None:
    rows = members(("k0", "blurred"), ("k1", "noisy"), ("k2", "blurred"), ("k3", "noisy"))
    options = {"content": as_csv(rows), "headers": {"Content-Type": "text/csv"}}
    base = f"/suites/upload?name=known&dataset_id={world.dataset}"
    made = world.post(base + "&category=blurred:right&category=other:na", 201, **options)
    assert made["definition"]["categories"] == [
        {"name": "blurred", "wrong_label": False},
        {"name": "other", "wrong_label": None},
    ]
    for wrong in ("blurred", "blurred:maybe", ":right", "No Slug:right"):
        world.post(base, 422, params={"name": "x", "dataset_id": world.dataset, "category": wrong}, **options)


@pytest.mark.parametrize(
    ("media_type", "content", "status"),
    [
        ("text/csv", b"key;category\nk0;noisy\n", 422),
        ("text/csv", b"key,category\nk0\n", 422),
        ("text/csv", b"key,category\nk0,noisy,more\n", 422),
        ("text/csv", b"key,category\n\xff,noisy\n", 422),
        ("text/csv", b"key,category\nk0,\n", 422),
        ("text/csv", b"", 422),
        ("application/vnd.apache.parquet", b"PAR1 not at all", 422),
        ("application/x-ndjson", b'{"key": "k0"', 422),
        ("application/x-ndjson", b"[1]", 422),
        ("application/x-ndjson", b'{"key": "k0"}', 422),
        ("application/json", b"[1]", 422),
        ("application/json", b"{", 422),
        ("application/xml", b"<x/>", 415),
        ("", b"x", 415),
    ],
)
def test_bodies_that_cannot_be_read(world: World, media_type: str, content: bytes, status: int) -> None:
    refused = world.post(
        f"/suites/upload?name=known&dataset_id={world.dataset}",
        status,
        content=content,
        headers={"Content-Type": media_type},
    )
    assert refused["detail"]
    with transaction(world.database.engine) as session:
        assert session.scalars(select(Suite.name)).all() == ["default"]


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def send_parquet(world: World, content: bytes, status: int) -> Any:
    return world.post(
        f"/suites/upload?name=known&dataset_id={world.dataset}",
        status,
        content=content,
        headers={"Content-Type": "application/vnd.apache.parquet"},
    )


def repeated(text: str, num_rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * num_rows, pa.int32()), pa.array([text]))


def test_a_small_parquet_body_does_not_unfold_to_gigabytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one text stands in the file once, and in 40,000 rows: 4 GB."""
    num = 40_000
    bomb = pa.table({"key": repeated("x" * 100_000, num), "category": repeated("noisy", num)})
    content = parquet_of(bomb)
    assert len(content) < 1_000_000
    for form in (content, parquet_of(bomb, store_schema=False)):
        pool = pa.default_memory_pool()
        before = pool.max_memory()
        assert "'key'" in send_parquet(world, form, 422)["detail"]
        assert pool.max_memory() <= max(before, 100_000_000)
    # Values that are short enough one by one, and too many together.
    monkeypatch.setattr(bulk, "MAX_PARQUET_BYTES", 1_000_000)
    short = pa.table({"key": repeated("x" * 500, 4_000), "category": repeated("noisy", 4_000)})
    assert "too much" in send_parquet(world, parquet_of(short), 422)["detail"]
    # What prefixes share is written once, too.
    shared = pa.table({"key": ["x" * 400 + str(row) for row in range(100)], "category": ["noisy"] * 100})
    encoding = {"key": "DELTA_BYTE_ARRAY"}
    send_parquet(world, parquet_of(shared, use_dictionary=["category"], column_encoding=encoding), 422)


def test_other_columns_of_a_parquet_body_are_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_PARQUET_BYTES", 100_000)
    rows = pa.Table.from_pylist(some())
    wide = rows.append_column("notes", repeated("x" * 200_000, len(rows)))
    plain = world.post("/suites/upload", 201, json=body(world.dataset, some()))
    assert send_parquet(world, parquet_of(wide), 201) == plain


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_kinds_of_text_in_a_parquet_body(world: World, kind: pa.DataType) -> None:
    rows = pa.Table.from_pylist(some())
    table = pa.table({name: rows.column(name).cast(kind) for name in ("category", "key")})
    assert send_parquet(world, parquet_of(table), 201)["num_members"] == len(rows)
    nested = table.set_column(1, "key", pa.array([["k0"]] * len(rows)))
    assert "single values" in send_parquet(world, parquet_of(nested), 422)["detail"]
    latin = pa.array([b"caf\xe9"] * len(rows)).view(pa.string())
    send_parquet(world, parquet_of(table.set_column(1, "key", latin)), 422)


def test_a_file_needs_a_name_and_a_dataset(world: World) -> None:
    options = {"content": as_csv(some()), "headers": {"Content-Type": "text/csv"}}
    assert world.post("/suites/upload?name=x", 422, **options)["errors"][0]["field"] == "dataset_id"
    assert (
        world.post(f"/suites/upload?dataset_id={world.dataset}", 422, **options)["errors"][0]["field"]
        == "name"
    )
    bad = world.post(f"/suites/upload?name=a/b&dataset_id={world.dataset}", 422, **options)
    assert bad["errors"][0]["field"] == "name"


def test_the_same_keys_of_another_dataset_are_another_suite(world: World) -> None:
    from store import projects
    from tests.api.worlds import add_dataset

    with transaction(world.database.engine) as session:
        keys = [f"k{index}" for index in range(N)]
        project = projects.by_name(session, name="default")
        other = add_dataset(session, project, "pets2", "image", keys, ["train"] * N).id
    first = world.post("/suites/upload", 201, json=body(world.dataset, some()))
    second = world.post("/suites/upload", 201, json=body(other, some()))
    assert (second["version"], second["dataset_id"]) == (2, other)
    assert first["id"] != second["id"]


def test_deleting_a_suite(world: World) -> None:
    made = world.post("/suites/upload", 201, json=body(world.dataset, some()))
    assert world.delete(f"/suites/{made['id']}")["dependants"] == []
    world.get(f"/suites/{made['id']}", 404)
    assert "run-s0" in world.delete(f"/suites/{world.suite}", 409)["detail"]
    world.delete("/suites/999", 404)
