"""④ An uploaded suite: every row checked, doubles counted, halves drawn, and what to know about few probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput, InvalidRows, RowError
from sondage.probes.plan import known_roles
from sondage.probes.suite import CATEGORIES, Category, SuiteDefinition, check_members
from sondage.tagging.reference import roughness, usual_k
from sondage.wire import CategorySpec, SuiteMemberIn, SuiteUpload
from store import datasets, examples, suites
from store.tables import Project, Suite

LISTED_ROWS = 100
WRONG_LABEL = {"wrong": True, "right": False, "na": None}
Member = tuple[str, str]


def add_uploaded_suite(session: Session, project: Project, upload: SuiteUpload) -> tuple[Suite, list[str]]:
    """Store the suite, and say what was noticed on the way.

    Raises
    ------
    InvalidRows
        Some rows are wrong; nothing is stored.
    InvalidInput
        There are fewer than two categories, or one is declared wrongly.
    NotFound
        There is no such dataset.
    """
    dataset = datasets.get(session, project_id=project.id, dataset_id=upload.dataset_id)
    rows = [(member.key, member.category) for member in upload.members]
    own = tuple(Category(spec.name, spec.wrong_label) for spec in upload.categories)
    known = examples.indices_of(session, dataset_id=dataset.id, keys=list({key for key, _ in rows}))
    first = _first_of_each(rows)
    _refuse_wrong_rows(rows, first, own, known)
    members = [rows[position] for position in first]
    if len({category for _, category in members}) < 2:
        raise InvalidInput(
            "Tags need known examples of at least two categories to choose between.", field="members"
        )
    definition = SuiteDefinition(upload.name, members=tuple(members), categories=own, seed=upload.seed)
    suite = suites.add(
        session,
        project_id=project.id,
        name=upload.name,
        digest=f"{definition.digest()}-{dataset.id}",
        definition=definition.to_dict(),
        dataset_id=dataset.id,
        members=_with_roles(definition, {key: index for key, (index, _) in known.items()}),
    )
    doubles = len(rows) - len(first)
    return suite, [f"{doubles} rows came more than once and count once."] if doubles else []


def upload_from_rows(
    rows: Sequence[Mapping[str, Any]],
    name: str | None,
    dataset_id: int | None,
    categories: Sequence[str],
    seed: int,
) -> SuiteUpload:
    """The same body as JSON would have it, of a file's rows and what stood in the address."""
    if name is None or dataset_id is None:
        field = "name" if name is None else "dataset_id"
        raise InvalidInput(f"For a file, `{field}` must stand in the address.", field=field)
    empty = [
        RowError(index, "missing_value", "key and category must both be given.")
        for index, row in enumerate(rows)
        if row.get("key") in (None, "") or row.get("category") in (None, "")
    ]
    if empty:
        _refuse(empty, len(empty))
    members = [SuiteMemberIn(key=str(row["key"]), category=str(row["category"])) for row in rows]
    return SuiteUpload(
        name=name,
        dataset_id=dataset_id,
        members=members,
        categories=[_category(word) for word in categories],
        seed=seed,
    )


def _category(word: str) -> CategorySpec:
    name, _, meaning = word.rpartition(":")
    if not name or meaning not in WRONG_LABEL:
        raise InvalidInput(
            f"{word!r} declares no category: write name:wrong, name:right or name:na.", field="category"
        )
    Category(name, None)
    return CategorySpec(name=name, wrong_label=WRONG_LABEL[meaning])


def _first_of_each(rows: Sequence[Member]) -> list[int]:
    """Positions without those of rows that came before in the same words."""
    first: dict[Member, int] = {}
    for position, row in enumerate(rows):
        first.setdefault(row, position)
    return list(first.values())


def _refuse_wrong_rows(
    rows: Sequence[Member],
    first: Sequence[int],
    own: Sequence[Category],
    known: Mapping[str, tuple[int, str]],
) -> None:
    categories = {category.name: category for category in (*CATEGORIES, *own)}
    faults = _faults([rows[position] for position in first], categories, known)
    other_split = [
        RowError(
            position,
            "not_in_train",
            f"{rows[position][0]!r} is in the {known[rows[position][0]][1]} split; "
            "only train examples have curves.",
        )
        for position in first
        if known.get(rows[position][0], (0, "train"))[1] != "train"
    ]
    listed = sorted(
        [RowError(first[fault.index], fault.code, fault.message) for fault in faults.rows] + other_split,
        key=lambda fault: fault.index,
    )
    if listed:
        _refuse(listed, faults.num_rejected + len(other_split))


def _faults(
    members: Sequence[Member], categories: Mapping[str, Category], known: Mapping[str, tuple[int, str]]
) -> InvalidRows:
    try:
        check_members(members, categories, known)
    except InvalidRows as fault:
        return fault
    return InvalidRows("", [])


def _refuse(faults: Sequence[RowError], number: int) -> None:
    message = f"{number} rows of the suite were refused, and nothing was stored. {faults[0].message}"
    raise InvalidRows(message, faults[:LISTED_ROWS], num_rejected=number)


def _with_roles(definition: SuiteDefinition, index_of: Mapping[str, int]) -> list[tuple[int, str, str]]:
    """(index, category, role) by index: the halves do not depend on the order in which the rows were sent."""
    members = sorted((index_of[key], category) for key, category in definition.members)
    categories = np.array([category for _, category in members], dtype=np.str_)
    roles = known_roles(categories, definition)
    return [(index, category, str(role)) for (index, category), role in zip(members, roles, strict=True)]


def warnings_of(counts: suites.ProbeCounts) -> list[str]:
    """What to know about a suite with few known examples."""
    fit = [category for category, roles in counts.items() for _ in range(roles.get("fit", 0))]
    if not fit:
        return []
    rough = roughness(usual_k(np.array(fit, dtype=np.str_)))
    alone = sorted(category for category, roles in counts.items() if not roles.get("held_out"))
    unchecked = f"None held out, so the report cannot check them: {', '.join(alone)}." if alone else None
    return [warning for warning in (rough, unchecked) if warning is not None]
