"""⑥ Results on standard output, as tables or JSON; everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or a program, which has no width of its own."""


def printable(text: str) -> str:
    """Without control characters: keys and texts come from outside, and a terminal obeys what it is sent."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "�" for sign in text)


def note(text: str) -> None:
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def print_json(value: BaseModel | Sequence[BaseModel] | Mapping[str, Any]) -> None:
    write_out(json.dumps(_plain(value), ensure_ascii=False, indent=2) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Numbers to the right; what is too wide is folded, so that nothing is lost."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for position, name in enumerate(columns):
        numbers = any(isinstance(row[position], int | float) for row in rows)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value, ".3f")) for value in row))
    _print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """One thing: a name and a value a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields.items():
        grid.add_row(name, Text(_cell(value, ".6g")))
    _print(grid)


def print_line(text: str = "") -> None:
    write_out(printable(text) + "\n")


def write_out(data: str | bytes) -> None:
    """To standard output, at once. A reader that has seen enough, such as `head`, ends the command in peace."""
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
        else:
            sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left for the last flush
        raise typer.Exit from None


def _print(table: Table) -> None:
    """Without the blanks that rich fills lines up with."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    lines = [line.rstrip() for line in drawn.get().splitlines()]
    write_out("\n".join(lines).strip("\n") + "\n")


def _cell(value: object, digits: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return format(value, digits)
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(part, digits)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(part, digits) for part in value)
    return printable(str(value)).replace("\n", " ")
