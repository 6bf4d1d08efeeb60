"""A small world to serve: a dataset of pictures, two trained runs, a suite, a finished tagging, scores."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session
from starlette.routing import compile_path

from app.main import create_app
from app.settings import AppSettings
from sondage.probes.suite import Generator, SuiteDefinition
from store import curves, datasets, jobs, projects, runs, scores, suites, taggings, tags
from store import tables as t
from store.engine import Database, transaction
from store.payloads import Column, Form, PayloadWriter
from tests.rows import tag_columns

BASE = "http://127.0.0.1:8000"
CLASSES = ["cat", "dog", "bird", "=fox()"]
N, NUM_TRAIN, NUM_EPOCHS, NUM_MADE = 40, 32, 5, 8
CATEGORIES = ["prototypical", "noisy"]
UNDECLARED = (404, 405)
"""Of addresses that are no operation."""


class Client(TestClient):
    """Checks that each answer is one that the OpenAPI document declares, with its media type."""

    def request(self, method: str, url: Any, **options: Any) -> Any:  # type: ignore[override]
        response = super().request(method, url, **options)
        operation = _operation(document(), method, response.request.url.path)
        if operation is None:
            assert response.status_code not in (200, 201, 202) or not response.request.url.path.startswith(
                "/api/v1/pr"
            )
            return response
        declared = operation["responses"].get(str(response.status_code))
        assert declared is not None, f"{method} {url}: {response.status_code} is not declared"
        sent = response.headers.get("content-type", "").partition(";")[0]
        if response.content:
            assert sent in declared["content"], (
                f"{method} {url}: {sent} is not declared for {response.status_code}"
            )
        return response


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, which is the same for every server."""
    return _application("function").openapi()


@cache
def _application(scope: str) -> FastAPI:
    return create_app(AppSettings())


def served(settings: AppSettings, database: Database, scope: str = "function") -> FastAPI:
    """One application for all tests of a scope, one after the other: its first answer builds every route anew, 0.25 s.

    Only what differs in its folder and database may share it; other settings need one of their own.
    """
    app = _application(scope)
    app.state.given = (settings, database)
    return app


def _operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    for template, operations in document["paths"].items():
        pattern, _, _ = compile_path(template)
        if re.fullmatch(pattern, path) and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


@dataclass(frozen=True)
class World:
    """Numbers of what is there, and a client. `url` is the project's."""

    client: Client
    database: Database
    settings: AppSettings
    dataset: int = 0
    runs: tuple[int, ...] = ()
    suite: int = 0
    tagging: int = 0
    url: str = "/api/v1/projects/default"

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        return self._body(self.client.get(self.url + path, **options), status)

    def post(self, path: str, status: int, **options: Any) -> Any:
        return self._body(self.client.post(self.url + path, **options), status)

    def delete(self, path: str, status: int = 200, **options: Any) -> Any:
        return self._body(self.client.delete(self.url + path, **options), status)

    def _body(self, response: Any, status: int) -> Any:
        assert response.status_code == status, response.text
        return response.json()


def make_settings(folder: Path, **options: Any) -> AppSettings:
    return AppSettings(data_dir=folder, **options)


def fill(world: World) -> World:
    folder = world.settings.data_dir
    with transaction(world.database.engine) as session:
        project = projects.by_name(session, name="default")
        dataset = add_pictures(session, project, folder)
        suite = add_default_suite(session, project)
        trained = [add_run(session, dataset, suite, slot, folder) for slot in range(2)]
        tagging = add_tagging(session, project, dataset, suite, trained)
        numbers = dataset.id, tuple(run.id for run in trained), suite.id, tagging.id
    return World(world.client, world.database, world.settings, *numbers)


def given_labels() -> np.ndarray:
    return np.arange(N) % len(CLASSES)


def add_pictures(session: Session, project: t.Project, folder: Path, name: str = "pets") -> t.Dataset:
    splits = ["train"] * NUM_TRAIN + ["validation"] * (N - NUM_TRAIN)
    keys = [f"k{index}" for index in range(N - 1)] + ["=HYPERLINK(1)"]
    dataset = add_dataset(session, project, name, "image", keys, splits)
    pixels = np.arange(N * 8 * 8, dtype=np.uint32).reshape(N, 8, 8, 1).astype(np.uint8)
    write_pixels(folder / dataset.payload, pixels)
    return dataset


def add_dataset(
    session: Session, project: t.Project, name: str, modality: str, keys: list[str], splits: list[str]
) -> t.Dataset:
    new = datasets.NewDataset(
        name=name,
        fingerprint=f"{name}-{modality}-{len(keys)}".ljust(64, "0"),
        modality=modality,
        class_names=CLASSES,
        keys=keys,
        labels=np.arange(len(keys)) % len(CLASSES),
        splits=splits,
        source={"kind": "digits"},
    )
    dataset, _ = datasets.add(session, project_id=project.id, new=new)
    return dataset


def write_pixels(folder: Path, pixels: np.ndarray) -> None:
    with PayloadWriter(folder.parent) as writer:
        writer.start(Form.PIXELS, row_shape=pixels.shape[1:])
        writer.add(pixels)
        writer.publish(folder)


def write_texts(folder: Path, texts: list[str]) -> None:
    schema = pa.schema([("text", pa.large_string())])
    with PayloadWriter(folder.parent) as writer:
        writer.start(Form.TEXTS, schema=schema)
        writer.add(pa.RecordBatch.from_pydict({"text": texts}, schema=schema))
        writer.publish(folder)


def write_table(folder: Path, ages: list[float], jobs_held: Sequence[str | None]) -> None:
    schema = pa.schema([("age", pa.float64()), ("job", pa.string())])
    columns = (
        Column("age", "numeric"),
        Column("job", "categorical", tuple(sorted({job for job in jobs_held if job is not None}))),
    )
    with PayloadWriter(folder.parent) as writer:
        writer.start(Form.TABLE, schema=schema, columns=columns)
        writer.add(pa.RecordBatch.from_pydict({"age": ages, "job": jobs_held}, schema=schema))
        writer.publish(folder)


def add_default_suite(session: Session, project: t.Project) -> t.Suite:
    """By the name of the default one, and of two generators: more cannot be planted in so few examples."""
    definition = SuiteDefinition("default", generators=(Generator("flip"), Generator("scramble")))
    return suites.add(
        session,
        project_id=project.id,
        name="default",
        digest=definition.digest(),
        definition=definition.to_dict(),
    )


def add_run(
    session: Session, dataset: t.Dataset, suite: t.Suite | None, slot: int, folder: Path | None = None
) -> t.Run:
    """A finished run. Its made probes are rows 40…47; the places of rows 8·slot…8·slot+7 are theirs."""
    run = queued_run(session, dataset, suite, f"run-s{slot}", slot)
    made = [
        runs.PlantedProbe(
            row=N + place,
            category=CATEGORIES[place % 2],
            role="fit" if place < 6 else "held_out",
            generator="flip",
            source_row=NUM_MADE * slot + place,
            label=(place + 1) % len(CLASSES),
        )
        for place in range(NUM_MADE)
    ]
    runs.plant(session, run=run, probes=made)
    loss, predicted = curves_of(slot)
    for epoch in range(NUM_EPOCHS):
        channels = {"loss": loss[:, epoch], "margin": 1 - loss[:, epoch], "predicted": predicted[:, epoch]}
        curves.write_epoch(session, run_id=run.id, epoch=epoch, channels=channels)
        runs.close_epoch(
            session, run_id=run.id, epoch=epoch, attempt=1, metrics={"train_loss": 1.0 / (epoch + 1)}
        )
    runs.set_state(session, run_id=run.id, state="finished")
    if folder is not None:
        write_pixels(folder / "runs" / str(run.id) / "probes", np.full((NUM_MADE, 8, 8, 1), 200, np.uint8))
    session.flush()
    session.refresh(run)
    return run


def queued_run(
    session: Session, dataset: t.Dataset, suite: t.Suite | None, name: str, slot: int = 0
) -> t.Run:
    return runs.create(
        session,
        dataset=dataset,
        name=name,
        suite_id=None if suite is None else suite.id,
        recipe={"model": "convnet"},
        protocol={"pass": "training"},
        num_epochs=NUM_EPOCHS,
        seed=slot,
        slot=slot,
        num_slots=2,
    )


def curves_of(slot: int) -> tuple[np.ndarray, np.ndarray]:
    """Loss and predicted class, [rows, epochs]; the even probes learn fast, the odd ones do not."""
    rng = np.random.default_rng(slot)
    rows = N + NUM_MADE
    speed = rng.uniform(0.2, 1.0, rows)
    speed[N::2], speed[N + 1 :: 2] = 1.0, 0.1
    loss = (2.0 * np.exp(-speed[:, None] * np.arange(NUM_EPOCHS))).astype(np.float32)
    predicted = np.repeat(
        np.append(given_labels(), np.zeros(NUM_MADE)).astype(np.int8)[:, None], NUM_EPOCHS, axis=1
    )
    untrained = np.r_[NUM_MADE * slot : NUM_MADE * (slot + 1), NUM_TRAIN:N]
    loss[untrained], predicted[untrained] = np.nan, -1
    return loss, predicted


def add_tagging(
    session: Session, project: t.Project, dataset: t.Dataset, suite: t.Suite, trained: list[t.Run]
) -> t.Tagging:
    """Finished: suspicion falls with the index over the train split; index 3 is unsure and displaced."""
    tagging = taggings.create(
        session, project_id=project.id, runs=trained, suite_id=suite.id, tagger="reference"
    )
    rows = []
    for index in range(NUM_TRAIN):
        noisy = round(1 - index / NUM_TRAIN, 4)
        unsure = index == 3
        shares = None if unsure else [1 - noisy, noisy]
        tag = tags.UNSURE if unsure else int(noisy > 0.5)
        suggested = 0 if index == 1 else None
        rows.append((index, NUM_TRAIN if unsure else index, tag, None if unsure else noisy,
                     int(given_labels()[index]), suggested, unsure, shares))  # fmt: skip
    tags.write(session, tagging_id=tagging.id, columns=tag_columns(rows))
    taggings.save_probes(session, tagging_id=tagging.id, probes=_probes_used(trained))
    taggings.save_report(
        session, tagging_id=tagging.id, categories=CATEGORIES, calibration="none", report={"accuracy": 0.75}
    )
    taggings.set_state(session, tagging_id=tagging.id, state="finished")
    session.flush()
    session.refresh(tagging)
    add_scores(session, dataset, [run.id for run in trained])
    return tagging


def _probes_used(trained: list[t.Run]) -> Iterator[tuple[int, int, str, str, int]]:
    for run in trained:
        for place in range(NUM_MADE):
            role = "fit" if place < 6 else "held_out"
            yield run.id, N + place, CATEGORIES[place % 2], role, NUM_MADE * run.slot + place


def mean_loss() -> np.ndarray:
    """Worst at the end of the train split, with ties, and NaN where nothing was trained."""
    values = (np.arange(N, dtype=np.float32) // 4).astype(np.float32)
    values[NUM_TRAIN:] = np.nan
    values[5] = np.nan
    return values


def add_scores(session: Session, dataset: t.Dataset, run_ids: list[int]) -> None:
    scores.save(
        session, dataset=dataset, method="mean_loss", bad_end="high", run_ids=run_ids, values=mean_loss()
    )
    scores.save(
        session, dataset=dataset, method="aum", bad_end="low", run_ids=run_ids, values=-mean_loss() * 2
    )


def add_job(session: Session, project: t.Project, kind: str = "register", **subject: Any) -> t.Job:
    return jobs.create(session, project_id=project.id, kind=kind, **subject)
