"""① Options that say what a source is and how it is read, the same in every command that takes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from sondage.cli.common import pairs

SourceFile = Annotated[
    str, typer.Argument(help="A .npz, .parquet or .csv file here, or with --server-path there.")
]
Kind = Annotated[
    str | None, typer.Option(help="npz, parquet, csv or imagefolder, where the name does not tell.")
]
ServerPath = Annotated[
    bool, typer.Option("--server-path", help="SOURCE is a path on the server, below a source root.")
]
Modality = Annotated[
    str | None, typer.Option(help="image, text, table or vector, where the columns do not tell.")
]
LabelColumn = Annotated[str, typer.Option()]
KeyColumn = Annotated[str | None, typer.Option(help="Of your own ids.")]
InputColumns = Annotated[str | None, typer.Option(help="Inputs, as a,b; all others by default.")]
ClassNames = Annotated[str | None, typer.Option(help="As cat,dog, in the order of the labels.")]
Arrays = Annotated[
    list[str] | None, typer.Option(metavar="ROLE=NAME", help="Of an .npz, such as x_train=images. Repeat it.")
]


def arrays_of(texts: Sequence[str] | None) -> dict[str, str]:
    """Which array plays which role, as `--array` says it."""
    return pairs(texts or [], "=", "--array")
