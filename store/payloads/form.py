"""① What lies in a payload's folder.

============ ==================== =========================================================================
form         file                 holds
============ ==================== =========================================================================
``pixels``   ``pixels.npy``       uint8 [N, H, W, C]: pictures of one size
``values``   ``values.npy``       float32 [N, d]: vectors
``pictures`` ``rows.arrow``       encoded pictures as they came: `image`, and `width`, `height`, `channels`
``texts``    ``rows.arrow``       `text`
``table``    ``rows.arrow``       one Arrow column per column: numbers, or strings with null where missing
============ ==================== =========================================================================

`rows.arrow` is an Arrow IPC *file* (https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format), whose
footer says where each record batch lies; `batch_starts` in `meta.json` says which rows it holds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from sondage.errors import DataFolderError

FORMAT = 1
META = "meta.json"
ROWS = "rows.arrow"


class Form(StrEnum):
    PIXELS = "pixels"
    VALUES = "values"
    PICTURES = "pictures"
    TEXTS = "texts"
    TABLE = "table"

    @property
    def modality(self) -> str:
        return _MODALITIES[self]

    @property
    def is_array(self) -> bool:
        return self in (Form.PIXELS, Form.VALUES)

    @property
    def file_name(self) -> str:
        return f"{self}.npy" if self.is_array else ROWS


_MODALITIES = {
    Form.PIXELS: "image",
    Form.PICTURES: "image",
    Form.VALUES: "vector",
    Form.TEXTS: "text",
    Form.TABLE: "table",
}


@dataclass(frozen=True)
class Column:
    """One column of a table. `categories` are its different values, sorted; code *i* is `categories[i]`."""

    name: str
    kind: Literal["numeric", "categorical"]
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Meta:
    """`meta.json`. `batch_starts` has one entry per record batch, and the number of rows at the end."""

    form: Form
    num_rows: int
    batch_starts: tuple[int, ...] = ()
    columns: tuple[Column, ...] = field(default=())

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def read(cls, folder: Path) -> Meta:
        """Read a folder's `meta.json`.

        Raises
        ------
        DataFolderError
            There is none, or it is not ours.
        """
        try:
            content = json.loads((folder / META).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataFolderError(
                f"There is no readable payload in {folder.name!r} ({error}). Register the dataset again, "
                "or restore its folder from a backup."
            ) from error
        return cls._from_dict(content, folder)

    @classmethod
    def _from_dict(cls, content: dict[str, Any], folder: Path) -> Meta:
        if content.get("format") != FORMAT:
            raise DataFolderError(
                f"The payload in {folder.name!r} has format {content.get('format')!r}; this version of Sondage "
                f"reads format {FORMAT}."
            )
        columns = tuple(Column(c["name"], c["kind"], tuple(c["categories"])) for c in content["columns"])
        return cls(Form(content["form"]), content["num_rows"], tuple(content["batch_starts"]), columns)
