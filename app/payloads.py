"""⑥ Open payloads: what a list or a picture needs of the inputs, by one random read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sondage.errors import DataFolderError, NotFound
from store.payloads import Payload, open_payload
from store.tables import Dataset

MAX_OPEN = 16
NO_INPUTS = "none"
"""The modality of a dataset of keys and labels alone."""


class Payloads:
    """The most recently used payloads of a data folder, kept open."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._open: OrderedDict[Path, Payload] = OrderedDict()
        self._lock = threading.Lock()

    def of_dataset(self, dataset: Dataset) -> Payload:
        if dataset.modality == NO_INPUTS:
            raise NotFound(f"Dataset {dataset.id} has no inputs: it was made of keys and labels alone.")
        return self._get(self.data_dir / dataset.payload)

    def of_made_probes(self, run_id: int) -> Payload:
        """Rows from N on of a run: row N is the payload's row 0."""
        folder = self.data_dir / "runs" / str(run_id) / "probes"
        if not folder.exists():
            raise NotFound(
                f"The inputs of the probes of run {run_id} are not here: it was recorded elsewhere."
            )
        return self._get(folder)

    def preview(self, dataset: Dataset, index: int) -> dict[str, Any]:
        """`text` or `values` of an example; nothing for pictures."""
        return {} if dataset.modality == NO_INPUTS else self.of_dataset(dataset).preview(index)

    def inputs(self, dataset: Dataset, index: int) -> dict[str, Any]:
        """The same, whole: all of a text, all values of a vector."""
        if dataset.modality == NO_INPUTS:
            return {}
        payload = self.of_dataset(dataset)
        if payload.modality == "text":
            return {"text": payload.text(index)}
        return {} if payload.modality == "image" else {"values": payload.values(index)}

    def preview_of_row(self, dataset: Dataset, run_id: int, row: int) -> dict[str, Any]:
        """The same for any row of a run; nothing for made probes whose inputs are gone."""
        if row < dataset.num_examples:
            return self.preview(dataset, row)
        try:
            return self.of_made_probes(run_id).preview(row - dataset.num_examples)
        except (DataFolderError, NotFound):
            return {}

    def has_row(self, dataset: Dataset, run_id: int, row: int) -> bool:
        """Whether the row's input is here: made probes of a run that was recorded elsewhere stay there."""
        if row < dataset.num_examples:
            return True
        try:
            self.of_made_probes(run_id)
        except (DataFolderError, NotFound):
            return False
        return True

    def thumbnail(self, dataset: Dataset, index: int, size: int) -> bytes:
        return self.of_dataset(dataset).thumbnail(index, size)

    def thumbnail_of_row(self, dataset: Dataset, run_id: int, row: int, size: int) -> bytes:
        if row < dataset.num_examples:
            return self.thumbnail(dataset, row, size)
        return self.of_made_probes(run_id).thumbnail(row - dataset.num_examples, size)

    def forget(self, folders: Iterable[Path]) -> None:
        """Close what lies in folders that are to be removed."""
        with self._lock:
            for folder in folders:
                for path in [path for path in self._open if path.is_relative_to(folder)]:
                    del self._open[path]

    def _get(self, folder: Path) -> Payload:
        with self._lock:
            if folder in self._open:
                self._open.move_to_end(folder)
                return self._open[folder]
        payload = open_payload(folder)
        with self._lock:
            self._open[folder] = payload
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        return payload
