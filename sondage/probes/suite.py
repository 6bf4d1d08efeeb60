"""④ Suites: the categories, the definition of a set of probes, and its digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sondage.errors import InvalidInput, InvalidRows, RowError

_CATEGORY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LISTED_ROWS = 100
FORMAT = 1
"""Part of the digest: raise it when the same definition would make other probes."""


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
USUAL_CATEGORY = {
    "flip": "noisy",
    "corrupt": "corrupted",
    "scramble": "ood",
    "prototypical": "prototypical",
    "atypical": "atypical",
}
"""Generator to the category it stands for when nothing else is said."""
PLANTED = ("flip", "corrupt", "scramble")
"""These make a new row from a source, whose place in the training it takes."""
SELECTED = ("prototypical", "atypical")
"""These choose examples after training, by another run; nothing is displaced."""
CORRUPTIONS = ("noise", "blur", "occlusion")
_PARAMETERS: dict[str, dict[str, Any]] = {
    "flip": {},
    "corrupt": {"strength": 0.5, "kinds": list(CORRUPTIONS)},
    "scramble": {},
    "prototypical": {},
    "atypical": {},
}


@dataclass(frozen=True)
class Generator:
    """One kind of probe to make (`flip`, `corrupt`, `scramble`) or to choose (`prototypical`, `atypical`).

    Parameters
    ----------
    name : str
    category : str, optional
        The usual one of the generator when not given.
    parameters : mapping
        `corrupt`: `strength` in (0, 1], default 0.5; `kinds` of images, some of noise, blur, occlusion.
    count : int
        Wished number of probes, fit and held out together; scaled down on small sets.
    """

    name: str
    category: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    count: int = 500

    def __post_init__(self) -> None:
        if self.name not in USUAL_CATEGORY:
            known = ", ".join(USUAL_CATEGORY)
            raise InvalidInput(f"There is no generator {self.name!r}; there are: {known}.", field="name")
        if not isinstance(self.count, int) or isinstance(self.count, bool) or self.count < 2:
            raise InvalidInput(
                f"{self.name}: count is {self.count!r}; at least 2 are needed, one to fit and one held out.",
                field="count",
            )
        object.__setattr__(self, "category", self.category or USUAL_CATEGORY[self.name])
        object.__setattr__(self, "parameters", _checked_parameters(self.name, self.parameters))

    @property
    def planted(self) -> bool:
        return self.name in PLANTED

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "category": self.category,
            "parameters": dict(self.parameters),
            "count": self.count,
        }


@dataclass(frozen=True)
class SuiteDefinition:
    """A named set of probes: generators, or known examples by key, never both.

    Parameters
    ----------
    name : str
    generators : tuple of Generator
    members : tuple of (key, category)
        Known examples, which serve as they are.
    categories : tuple of Category
        Those of the user's own. The built-in ones need not be named.
    fit_share : float
        Share of each category's probes that the tagger is fitted on; the rest is held out. In (0, 1).
    seed : int

    Raises
    ------
    InvalidInput
        With what to change.
    """

    name: str
    generators: tuple[Generator, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    categories: tuple[Category, ...] = ()
    fit_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kept in (
            ("generators", tuple(self.generators)),
            ("members", tuple(sorted((str(key), str(category)) for key, category in self.members))),
            ("categories", tuple(self.categories)),
        ):
            object.__setattr__(self, name, kept)
        if not 0 < self.fit_share < 1:
            raise InvalidInput(
                f"fit_share is {self.fit_share}; it must lie between 0 and 1.", field="fit_share"
            )
        if bool(self.generators) == bool(self.members):
            raise InvalidInput("A suite needs generators or members, and not both.", field="generators")
        self._check_categories()

    def _check_categories(self) -> None:
        own = [category.name for category in self.categories]
        if len(set(own)) < len(own):
            raise InvalidInput(f"A category is declared twice: {own}.", field="categories")
        for builtin in CATEGORIES:
            if any(c.name == builtin.name and c.wrong_label != builtin.wrong_label for c in self.categories):
                raise InvalidInput(
                    f"{builtin.name!r} is built in and cannot be redefined: choose another name.",
                    field="categories",
                )
        if self.members:
            check_members(self.members, self.known_categories())
        names = [generator.name for generator in self.generators if not generator.planted]
        if len(set(names)) < len(names):
            raise InvalidInput("prototypical and atypical can be asked for once each.", field="generators")
        for generator in self.generators:
            if generator.category not in self.known_categories():
                raise InvalidInput(_unknown_category(generator.category), field="category")
        if len(self.used_categories()) < 2:
            raise InvalidInput(
                "Tags need probes of at least two categories to choose between.", field="generators"
            )

    def known_categories(self) -> dict[str, Category]:
        """By name: the built-in ones, then the user's own."""
        return {category.name: category for category in (*CATEGORIES, *self.categories)}

    def used_categories(self) -> tuple[Category, ...]:
        """Those that some probe stands for, in the order of columns and of ties."""
        used = {generator.category for generator in self.generators} | {c for _, c in self.members}
        return tuple(category for name, category in self.known_categories().items() if name in used)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives the same definition back."""
        return {
            "name": self.name,
            "generators": [generator.to_dict() for generator in self.generators],
            "members": [list(member) for member in self.members],
            "categories": [{"name": c.name, "wrong_label": c.wrong_label} for c in self.categories],
            "fit_share": self.fit_share,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SuiteDefinition:
        allowed = {"name", "generators", "members", "categories", "fit_share", "seed"}
        if unknown := sorted(set(data) - allowed):
            raise InvalidInput(
                f"A suite has no field {unknown[0]!r}; it has {sorted(allowed)}.", field=unknown[0]
            )
        return cls(
            name=data["name"],
            generators=tuple(Generator(**generator) for generator in data.get("generators", ())),
            members=tuple((key, category) for key, category in data.get("members", ())),
            categories=tuple(Category(**category) for category in data.get("categories", ())),
            fit_share=data.get("fit_share", 0.5),
            seed=data.get("seed", 0),
        )

    def digest(self) -> str:
        """SHA-256 (hex) of everything that decides the probes: all but the name."""
        content = {key: value for key, value in self.to_dict().items() if key != "name"} | {"format": FORMAT}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def default_suite(name: str = "default", *, count: int = 500, seed: int = 0) -> SuiteDefinition:
    """The suite of the reference: five categories, 250 fit probes and 250 held out for each.

    Source: Siddiqui et al., ICLR 2023 (MAP-D), section 3 for categories and numbers; the generators are ours.
    """
    generators = tuple(Generator(name, count=count) for name in ("flip", "corrupt", "scramble", *SELECTED))
    return SuiteDefinition(name, generators=generators, seed=seed)


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
        return "unknown_category", _unknown_category(category)
    if key in first:
        index, other = first[key]
        if other == category:
            return "duplicate_key", f"The key {key!r} is there already, in row {index}."
        return "two_categories", f"The key {key!r} is {other!r} in row {index} and {category!r} here."
    return None


def _unknown_category(name: str) -> str:
    builtin = ", ".join(category.name for category in CATEGORIES)
    return f"There is no category {name!r}: use one of {builtin}, or declare it under categories."


def _checked_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    usual = _PARAMETERS[name]
    if unknown := sorted(set(parameters) - set(usual)):
        has = ", ".join(usual) or "none"
        raise InvalidInput(f"{name} has no parameter {unknown[0]!r}; it has: {has}.", field="parameters")
    kept = {**usual, **parameters}
    if name == "corrupt":
        _check_corrupt(kept["strength"], kept["kinds"])
        kept["kinds"] = [kind for kind in CORRUPTIONS if kind in kept["kinds"]]
        kept["strength"] = float(kept["strength"])
    return kept


def _check_corrupt(strength: Any, kinds: Any) -> None:
    if not isinstance(strength, int | float) or isinstance(strength, bool) or not 0 < strength <= 1:
        raise InvalidInput(f"corrupt: strength is {strength!r}; it must lie in (0, 1].", field="parameters")
    if not isinstance(kinds, list | tuple) or not kinds or not set(kinds) <= set(CORRUPTIONS):
        raise InvalidInput(
            f"corrupt: kinds is {kinds!r}; name one or more of {', '.join(CORRUPTIONS)}.", field="parameters"
        )
