"""⑤ The tags of one tagging under a filter: one by one, as a table, or as a file."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from sondage.client.extras import pandas, pyarrow_parquet
from sondage.client.http import Http
from sondage.errors import InvalidInput
from sondage.wire import Facets, Tag

FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl"}
"""By the end of a file's name."""


@dataclass(frozen=True)
class Tags:
    """Nothing is fetched until it is used. Iterating goes through the pages; a table or file comes in one piece."""

    tagging_id: int
    filters: Mapping[str, Any]
    order_by: str
    limit: int | None
    _http: Http = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[Tag]:
        return self._http.pages(Tag, self._path(), limit=self.limit, order_by=self.order_by, **self.filters)

    def facets(self) -> Facets:
        """How many there are, in all, per tag and per class."""
        return self._http.get(
            Facets, self._http.of_project("taggings", self.tagging_id, "facets"), **self.filters
        )

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`, in the order of the list."""
        parquet = pyarrow_parquet()
        return parquet.read_table(io.BytesIO(b"".join(self.pieces("parquet"))))

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, in the order of the list."""
        pandas()
        return self.to_arrow().to_pandas()

    def export(self, file: str | PathLike[str], format: str | None = None) -> Path:
        """Write a CSV, Parquet or JSON-lines file; one that breaks off leaves what was there.

        Parameters
        ----------
        format : {"csv", "parquet", "jsonl"}, optional
            By the file's ending when not given.
        """
        path = Path(file)
        chosen = format or _format_of(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as opened:
                for piece in self.pieces(chosen):
                    opened.write(piece)
            part.replace(path)
        except OSError as fault:
            raise InvalidInput(f"{path} cannot be written: {fault.strerror}.", field="file") from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
        return path

    def pieces(self, format: str) -> Iterator[bytes]:
        """The exported file as it comes."""
        if format not in FORMATS.values():
            raise InvalidInput(
                f"format is {format!r}; there are {', '.join(FORMATS.values())}.", field="format"
            )
        parameters = {**self.filters, "order_by": self.order_by, "limit": self.limit, "format": format}
        with self._http.download(self._path("export"), **parameters) as pieces:
            yield from pieces

    def _path(self, *parts: object) -> str:
        return self._http.of_project("taggings", self.tagging_id, "tags", *parts)


def _format_of(path: Path) -> str:
    chosen = FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise InvalidInput(
            f"The format of {path} cannot be told: end its name in {', '.join(FORMATS)}, or say format=….",
            field="format",
        )
    return chosen
