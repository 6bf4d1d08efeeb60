"""④ Members of uploaded suites: known examples by key, checked row by row before anything is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sondage.errors import InvalidRows, RowError
from sondage.probes.categories import Category, unknown_category

_LISTED_ROWS = 100


def check_members(
    members: Iterable[tuple[str, str]],
    categories: Mapping[str, Category],
    known_keys: Iterable[str] | None = None,
) -> None:
    """Refuse an uploaded suite with unknown categories, unknown keys, or a key that comes twice.

    Parameters
    ----------
    members : iterable of (key, category)
    categories : mapping by name
    known_keys : iterable of str, optional
        The dataset's keys; not checked when None.

    Raises
    ------
    InvalidRows
        Listing the first 100 rejected rows by position, code and reason.
    """
    keys = None if known_keys is None else set(known_keys)
    first: dict[str, tuple[int, str]] = {}
    faults = []
    for index, (key, category) in enumerate(members):
        fault = _member_fault(key, category, categories, keys, first)
        first.setdefault(key, (index, category))
        if fault is not None:
            faults.append(RowError(index, *fault))
    if faults:
        message = f"{len(faults)} rows of the suite were refused, and nothing was stored. {faults[0].message}"
        raise InvalidRows(message, faults[:_LISTED_ROWS], num_rejected=len(faults))


def _member_fault(
    key: str,
    category: str,
    categories: Mapping[str, Category],
    keys: set[str] | None,
    first: Mapping[str, tuple[int, str]],
) -> tuple[str, str] | None:
    if keys is not None and key not in keys:
        return "unknown_key", f"No example of this dataset has the key {key!r}."
    if category not in categories:
        return "unknown_category", unknown_category(category)
    if key in first:
        index, other = first[key]
        if other == category:
            return "duplicate_key", f"The key {key!r} is there already, in row {index}."
        return "two_categories", f"The key {key!r} is {other!r} in row {index} and {category!r} here."
    return None
