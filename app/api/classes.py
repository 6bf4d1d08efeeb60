"""⑥ Classes by name and by number."""

from __future__ import annotations

from sondage.errors import InvalidInput
from store.tables import Dataset


def label_name(dataset: Dataset, label: int) -> str:
    """The class's name; its number where the dataset has no name for it."""
    return dataset.class_names[label] if 0 <= label < len(dataset.class_names) else str(label)


def label_number(dataset: Dataset, word: str | None, *, field: str = "label") -> int | None:
    """The class that a filter means: by its name, else by its number.

    Raises
    ------
    InvalidInput
        The dataset has no such class.
    """
    if word is None:
        return None
    if word in dataset.class_names:
        return dataset.class_names.index(word)
    if word.isdecimal() and int(word) < len(dataset.class_names):
        return int(word)
    some = ", ".join(repr(name) for name in dataset.class_names[:10])
    raise InvalidInput(
        f"There is no class {word!r} in dataset {dataset.id}; its classes: {some} …", field=field
    )
