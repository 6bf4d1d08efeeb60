"""④ The members of an uploaded suite, from whatever holds them: pairs, a mapping, a frame, a file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from sondage.errors import InvalidInput
from sondage.wire import SuiteMemberIn

Members: TypeAlias = Any
"""What `members_of` reads. Frames and Arrow tables are not imported for their types."""
COLUMNS = ("key", "category")


def members_of(members: Members) -> list[SuiteMemberIn]:
    """The members in their order. A file or a frame has the columns `key` and `category`; others are ignored.

    Raises
    ------
    InvalidInput
        The file is not there or of another kind, or a column is missing.
    """
    if isinstance(members, str | PathLike):
        members = _read(Path(members))
    if hasattr(members, "to_pylist"):  # an Arrow table
        _check_columns(members.column_names)
        members = members.select(list(COLUMNS)).to_pylist()
    elif hasattr(members, "to_dict") and hasattr(members, "columns"):  # a DataFrame
        _check_columns(list(members.columns))
        members = members[list(COLUMNS)].to_dict("records")
    elif isinstance(members, Mapping):
        members = members.items()
    return [_member(position, member) for position, member in enumerate(members)]


def _member(position: int, member: Any) -> SuiteMemberIn:
    """Keys are text: a number in a file is the key that is written like it."""
    if isinstance(member, SuiteMemberIn):
        return member
    pair = [member.get(name) for name in COLUMNS] if isinstance(member, Mapping) else list(member)
    if len(pair) != 2 or any(part is None or part == "" for part in pair):
        raise InvalidInput(f"Member {position} ({member!r}) is not a key with a category.", field="members")
    return SuiteMemberIn(key=str(pair[0]), category=str(pair[1]))


def _read(path: Path) -> Any:
    if not path.is_file():
        raise InvalidInput(f"There is no file {path} here.", field="members")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path)
    if suffix in (".parquet", ".pq"):
        return _read_parquet(path)
    raise InvalidInput(f"{path} is neither .csv nor .parquet.", field="members")


def _read_csv(path: Path) -> list[dict[str, Any]]:
    try:
        # utf-8-sig: spreadsheets write a mark before the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened)
            _check_columns(reader.fieldnames or [])
            return list(reader)
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InvalidInput(f"{path} is no CSV in UTF-8: {fault}.", field="members") from None


def _read_parquet(path: Path) -> Any:
    from sondage.client.extras import pyarrow_parquet

    parquet = pyarrow_parquet()
    try:
        return parquet.read_table(path)
    except (OSError, ValueError) as fault:
        raise InvalidInput(f"{path} is no Parquet file: {fault}.", field="members") from None


def _check_columns(found: Iterable[str]) -> None:
    found = list(found)
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise InvalidInput(
            f"Columns {' and '.join(COLUMNS)} are needed; there is {', '.join(map(str, found)) or 'no column'}.",
            field="members",
        )
