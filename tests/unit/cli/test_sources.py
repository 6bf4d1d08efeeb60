"""Options of a source reach the server, whichever command takes them; jobs are waited for or left alone."""

from __future__ import annotations

from functools import partial

import httpx
import pytest

from sondage.cli import main
from sondage.client import Client, jobs
from tests.unit.client.answers import NOW, PROJECT, Server, dataset, job

READ = "--server-path --kind csv --modality text --label-column y --key-column id --input-columns words,more"
SOURCE = {
    "kind": "csv",
    "path": "a.txt",
    "modality": "text",
    "label_column": "y",
    "key_column": "id",
    "input_columns": ["words", "more"],
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """What the commands talk to."""
    found = Server()
    monkeypatch.setattr("sondage.cli.common.Client", partial(Client, transport=httpx.MockTransport(found)))
    monkeypatch.setattr(jobs, "FIRST_PAUSE_SECONDS", 0.0)
    for path in ("/datasets", "/datasets/1/inputs", "/suites/examples"):
        found.on("POST", PROJECT + path, httpx.Response(202, json=job(state="queued")))
    done = job(state="succeeded", result={"dataset_id": 1, "suite_id": 2}, dataset_id=1)
    found.on("GET", f"{PROJECT}/jobs/1", httpx.Response(200, json=job()), httpx.Response(200, json=done))
    found.on("GET", f"{PROJECT}/datasets/1", httpx.Response(200, json=dataset()))
    suite = {"id": 2, "name": "mine", "version": 1, "kind": "examples", "digest": "d", "definition": {}}
    suite |= {"dataset_id": None, "examples_dataset_id": 1, "created_at": NOW}
    found.on("GET", f"{PROJECT}/suites/2", httpx.Response(200, json=suite))
    return found


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (
            "dataset add a.txt --split-column fold --class-names no,yes --array x_train=images --plant-noise .1",
            {
                "split_column": "fold",
                "class_names": ["no", "yes"],
                "arrays": {"x_train": "images"},
                "noise": {"share": 0.1, "seed": 0},
            },
        ),
        (
            "dataset add-inputs 1 a.txt --split-column fold --class-names no,yes --array x_train=images",
            {"split_column": "fold", "class_names": ["no", "yes"], "arrays": {"x_train": "images"}},
        ),
        (
            "suite upload-examples a.txt --dataset 1 --name mine --array x_train=images",
            {"arrays": {"x_train": "images"}},
        ),
    ],
)
def test_options_of_a_source_reach_the_server(server: Server, command: str, more: dict[str, object]) -> None:
    assert main([*command.split(), *READ.split(), "--no-wait"]) == 0
    (body,) = server.bodies()
    source = body["source"]
    assert {key: source.get(key) for key in SOURCE | more} == SOURCE | more
    assert [request.method for request in server.asked if "/jobs/" in request.url.path] == []


def test_what_examples_of_ones_own_are_reaches_the_server(server: Server) -> None:
    command = "suite upload-examples a.csv --server-path --dataset 1 --name mine --no-wait --seed 3"
    options = "--all-are torn --category torn:wrong --generator flip:7 --label-name kitty=cat --random-labels"
    assert main([*command.split(), *options.split()]) == 0
    (body,) = server.bodies()
    assert (body["name"], body["dataset_id"], body["category"]) == ("mine", 1, "torn")
    assert body["categories"] == [{"name": "torn", "wrong_label": True}]
    assert [(one["name"], one["count"]) for one in body["generators"]] == [("flip", 7)]
    assert (body["label_names"], body["random_labels"], body["seed"]) == ({"kitty": "cat"}, True, 3)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("dataset add a.csv --server-path", "cats, version 1"),
        ("dataset add-inputs 1 a.csv --server-path", "cats, version 1"),
        ("suite upload-examples a.csv --server-path --dataset 1 --name mine", "mine"),
    ],
)
def test_the_job_is_waited_for_and_what_it_made_is_shown(
    server: Server, capsys: pytest.CaptureFixture[str], command: str, shown: str
) -> None:
    assert main(command.split()) == 0
    assert len([one for one in server.asked if one.url.path == f"{PROJECT}/jobs/1"]) == 2
    assert shown in capsys.readouterr().out
