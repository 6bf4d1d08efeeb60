"""⑥ Addresses within the interface, for `Location` and for pictures."""

from __future__ import annotations

from store.datasets import inputs_fingerprint
from store.tables import Dataset, Project

API = "/api/v1"


def job_url(project: Project, job_id: int) -> str:
    return f"{API}/projects/{project.name}/jobs/{job_id}"


def of_project(project: Project, *parts: object) -> str:
    return "/".join([API, "projects", project.name, *map(str, parts)])


def picture_url(project: Project, dataset: Dataset, index: int) -> str | None:
    """Of an example's thumbnail. It names the fingerprint, so that it may be kept for ever."""
    if dataset.modality != "image":
        return None
    url = of_project(project, "datasets", dataset.id, "examples", index, "thumbnail")
    return f"{url}?v={picture_version(dataset)}"


def row_picture_url(project: Project, dataset: Dataset, run_id: int, row: int) -> str | None:
    """Of any row of a run, made probes included."""
    if dataset.modality != "image":
        return None
    if row < dataset.num_examples:
        return picture_url(project, dataset, row)
    return f"{of_project(project, 'runs', run_id, 'rows', row, 'thumbnail')}?v={picture_version(dataset)}"


def picture_version(dataset: Dataset) -> str:
    return inputs_fingerprint(dataset)[:16]
