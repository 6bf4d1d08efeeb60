"""What the fake API tells of: runs that a test sets, and 130 examples made by formula.

Example i has the label i mod 3; the first ones are the worst.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sondage import wire

NUM_EXAMPLES = 130
NUM_EPOCHS = 12
CLASSES = ["cat", "dog", "eel"]
CATEGORIES = ["prototypical", "noisy", "ood", "houseplant"]
SCORES = {"aum": "low", "mean_loss": "high"}
MODALITY_OF: dict[int, wire.DatasetModality] = {1: "image", 2: "text", 3: "table", 4: "none", 9: "image"}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class State:
    """What a test may set."""

    datasets: list[int] = field(default_factory=lambda: [1, 2, 3])
    runs: dict[int, wire.Run] = field(default_factory=dict)
    jobs: dict[int, wire.Job] = field(default_factory=dict)
    tagging_states: dict[int, wire.RunState] = field(
        default_factory=lambda: {1: "finished", 2: "finished", 3: "finished"}
    )
    key: str | None = None
    displaced_in_run_1: set[int] = field(default_factory=set)
    aborted: list[int] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    sample: list[int] = field(default_factory=list)
    decisions: dict[int, wire.DecisionWord] = field(default_factory=dict)
    calibration: wire.TaggingCalibration | None = None
    early: dict[int, wire.Tagging] = field(default_factory=dict)
    """Taggings by the first epochs, of dataset 1."""
    broken: str | None = None
    """Paths that contain this answer 500."""

    def add_recorded(self, run_id: int, state: wire.RunState, *, epochs_done: int = 0) -> None:
        """A run that a loop of the user's own records."""
        own = {"recorded": True, "job_id": None, "recipe": {}, "seed": 0, "dataset_id": 4}
        self.runs[run_id] = make_run(run_id, state, epochs_done).model_copy(update=own)

    def add_run(
        self, run_id: int, state: wire.RunState, *, epochs_done: int = 0, error: str | None = None
    ) -> None:
        """A run and the job that trains it."""
        self.runs[run_id] = make_run(run_id, state, epochs_done)
        self.jobs[100 + run_id] = make_job(self.runs[run_id], error)


def make_run(run_id: int, state: wire.RunState, epochs_done: int) -> wire.Run:
    return wire.Run(
        id=run_id, name=f"run-{run_id}", dataset_id=1, suite_id=1, recipe={"model": "convnet", "lr": 0.1},
        protocol={"pass": "training"}, seed=run_id - 1, slot=0, num_slots=2, num_epochs=NUM_EPOCHS,
        num_rows=NUM_EXAMPLES, epochs_done=epochs_done, state=state, job_id=100 + run_id, created_at=NOW,
        finished_at=None,
    )  # fmt: skip


def make_job(run: wire.Run, error: str | None = None, *, kind: Any = "train") -> wire.Job:
    state = "succeeded" if run.state == "finished" else run.state
    progress = wire.Progress(
        unit="epochs", done=run.epochs_done, total=NUM_EPOCHS, seconds_left=95, examples_per_second=4213
    )
    return wire.Job(
        id=run.job_id or 0, kind=kind, state=state, attempt=1, progress=progress, error=error, result=None,
        dataset_id=1, run_id=run.id, tagging_id=None, abort_requested=False, created_at=datetime.now(UTC),
        started_at=NOW, finished_at=None,
    )  # fmt: skip


def suspicion(index: int) -> float:
    return round(1 - index / NUM_EXAMPLES, 4)


def label(index: int) -> int:
    return index % len(CLASSES)


def category(index: int) -> str:
    return "noisy" if index < 70 else CATEGORIES[index % 2 * 3]


def score(method: str, index: int) -> float:
    """By `aum` the worst is the last example, by `mean_loss` the first."""
    return -index / 10 if method == "aum" else 3 - index / 100


def inputs(dataset_id: int, index: int) -> dict[str, Any]:
    if MODALITY_OF[dataset_id] == "image":
        return {"picture_url": f"/api/v1/projects/default/datasets/1/examples/{index}/thumbnail?v=abc"}
    if MODALITY_OF[dataset_id] == "none":
        return {}
    if MODALITY_OF[dataset_id] == "text":
        return {"text": f"Question {index}: what is the highest waterfall?"}
    return {"values": {"age": 20 + index, "work": "private", "hours": 40.5}}


def make_tag(tagging_id: int, index: int) -> wire.Tag:
    suggested = (label(index) + 1) % 3 if category(index) == "noisy" else None
    return wire.Tag(
        index=index, key=f"key-{index:03d}", tag=category(index), suspicion=suspicion(index), calibration="none",
        position=index, label=label(index), label_name=CLASSES[label(index)], suggested_label=suggested,
        suggested_label_name=None if suggested is None else CLASSES[suggested], displaced=False,
        probabilities={"prototypical": 0.1, "noisy": 0.75, "ood": 0.15, "houseplant": 0.0},
        scores={method: score(method, index) for method in SCORES}, **inputs(tagging_id, index),
    )  # fmt: skip


def make_curve(height: float) -> list[float | None]:
    return [round(height * math.exp(-0.2 * epoch), 4) for epoch in range(NUM_EPOCHS)]


def make_dataset(number: int) -> wire.Dataset:
    modality = MODALITY_OF[number]
    name = "recorded-set" if modality == "none" else f"{modality}-set"
    return wire.Dataset(
        id=number, name=name, version=1, fingerprint="ab", modality=modality, source={},
        num_examples=NUM_EXAMPLES, class_names=CLASSES, splits={"train": 100, "test": 30}, created_at=NOW,
    )  # fmt: skip


def make_tagging(number: int, state: wire.RunState) -> wire.Tagging:
    return wire.Tagging(
        id=number, dataset_id=number, suite_id=1, run_ids=[1, 2], tagger="reference", parameters={"k": 20},
        categories=CATEGORIES, calibration="none", state=state, created_at=NOW, finished_at=NOW,
    )  # fmt: skip


def chosen(tag: str | None, label_word: str | None, least: float | None) -> list[int]:
    return [
        index
        for index in range(NUM_EXAMPLES)
        if (tag is None or category(index) == tag)
        and (label_word is None or CLASSES[label(index)] == label_word)
        and (least is None or suspicion(index) >= least)
    ]


def make_explanation(
    tagging_id: int, index: int, run_id: int, channel: str, k: int, *, seen: bool
) -> wire.Explanation:
    sign = 1 if channel == "loss" else -1
    bands = [
        wire.Band(
            category=name, low=make_curve(sign * (place + 0.5)), median=make_curve(sign * (place + 1)),
            high=make_curve(sign * (place + 1.5)),
        )
        for place, name in enumerate(CATEGORIES)
    ]  # fmt: skip
    neighbours = [make_neighbour(tagging_id, run_id, place, sign) for place in range(k)]
    nothing: list[Any] = [None] * NUM_EPOCHS
    given, other = CLASSES[label(index)], CLASSES[(label(index) + 1) % 3]
    return wire.Explanation(
        tagging_id=tagging_id, index=index, run_id=run_id, channel=channel, bands=bands,
        sentence=f"17 of 20 nearest probes are flipped labels; predicted '{other}' in 10 of 12 epochs.",
        curve=make_curve(sign * 3.0) if seen else nothing,
        neighbours=neighbours if seen else [],
        predicted=[given] * 2 + [other] * (NUM_EPOCHS - 2) if seen else nothing,
    )  # fmt: skip


def make_neighbour(tagging_id: int, run_id: int, place: int, sign: int) -> wire.Neighbour:
    """The second is an example of the user's own: it was made of no other, and shows itself."""
    row, own = NUM_EXAMPLES + place, place == 1
    shown = inputs(tagging_id, place)
    if "picture_url" in shown:
        where = f"datasets/5/examples/{place}" if own else f"runs/{run_id}/rows/{row}"
        shown = {"picture_url": f"/api/v1/projects/default/{where}/thumbnail?v=abc"}
    return wire.Neighbour(
        probe=wire.Probe(
            run_id=run_id, row=row, category="noisy", role="fit", source_row=None if own else place, label=0,
            example_index=place if own else None, example_dataset_id=5 if own else None, label_name="cat",
        ),
        distance=0.5 + place, curve=make_curve(sign * (2.0 + place)), **shown,
    )  # fmt: skip
