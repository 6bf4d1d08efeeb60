"""Answers that a server could give, and one that gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

NOW = "2026-11-21T03:00:00Z"
PROJECT = "/api/v1/projects/default"
Answer = Callable[[httpx.Request], httpx.Response]


def job(number: int = 1, state: str = "running", **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "kind": "register",
        "state": state,
        "attempt": 1,
        "progress": {},
        "error": None,
        "result": None,
        "dataset_id": None,
        "run_id": None,
        "tagging_id": None,
        "abort_requested": False,
        "created_at": NOW,
        "started_at": None,
        "finished_at": None,
        **more,
    }


def dataset(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": "cats",
        "version": number,
        "fingerprint": "f",
        "modality": "image",
        "num_examples": 3,
        "class_names": ["cat", "dog"],
        "splits": {"train": 3},
        "source": {},
        "created_at": NOW,
        **more,
    }


def run(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"cats-s{number}",
        "dataset_id": 1,
        "suite_id": 1,
        "recipe": {},
        "protocol": {},
        "seed": number,
        "slot": 0,
        "num_slots": 1,
        "num_epochs": 2,
        "num_rows": 5,
        "epochs_done": 2,
        "state": "finished",
        "created_at": NOW,
        "finished_at": NOW,
        **more,
    }


def tagging(number: int = 1, state: str = "finished", **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "dataset_id": 1,
        "suite_id": 1,
        "run_ids": [1],
        "tagger": "reference",
        "parameters": {},
        "categories": [],
        "calibration": "none",
        "state": state,
        "created_at": NOW,
        "finished_at": None,
        **more,
    }


def page(*items: dict[str, Any], cursor: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"items": list(items), "next_cursor": cursor})


def problem(status: int, code: str, detail: str = "Do this.", **more: Any) -> httpx.Response:
    body = {"title": "T", "status": status, "code": code, "detail": detail, "request_id": "r-1", **more}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


class Server:
    """Answers by path, and keeps what it was asked. A list of answers is given out one by one; the last one stays."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self._answers: dict[tuple[str, str], list[httpx.Response | Exception | Answer]] = {}

    def on(self, method: str, path: str, *answers: httpx.Response | Exception | Answer) -> None:
        self._answers[method, path] = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answers = self._answers.get((request.method, request.url.path))
        if answers is None:
            return problem(404, "not_found", f"There is nothing at {request.url.path}.")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.asked if request.method == "POST"]
