"""④ Categories: what a probe can be an example of, and whether its given label is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sondage.errors import InvalidInput

_CATEGORY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Category:
    """What a probe can be an example of.

    Parameters
    ----------
    name : str
    wrong_label : bool or None
        Is the given label of such an example wrong? None where the question does not apply.
    """

    name: str
    wrong_label: bool | None

    def __post_init__(self) -> None:
        if not _CATEGORY_NAME.fullmatch(self.name) or self.name == UNSURE:
            raise InvalidInput(
                f"{self.name!r} is no name for a category: use lower case, digits, - and _, "
                f"at most 63 of them, and not {UNSURE!r}.",
                field="categories",
            )


UNSURE = "unsure"
"""The tag of an example that has earned no category."""
CATEGORIES = (
    Category("prototypical", False),
    Category("atypical", False),
    Category("noisy", True),
    Category("ood", None),
    Category("corrupted", False),
)
"""The built-in ones, in the order that breaks ties between equal probabilities: the first wins."""


def unknown_category(name: str) -> str:
    """What to say of a category that nobody declared."""
    builtin = ", ".join(category.name for category in CATEGORIES)
    return f"There is no category {name!r}: use one of {builtin}, or declare it under categories."
