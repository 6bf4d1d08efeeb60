"""④ Suites: the categories, the definition of a set of probes, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from sondage.errors import InvalidInput
from sondage.probes.categories import CATEGORIES, UNSURE, Category, unknown_category
from sondage.probes.members import check_members

__all__ = [
    "CATEGORIES",
    "UNSURE",
    "Category",
    "Generator",
    "SuiteDefinition",
    "check_members",
    "default_suite",
]

_Part = TypeVar("_Part")
FORMAT = 1
"""Part of the digest: raise it when the same definition would make other probes."""


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
    "corrupt": {"strength": 0.75, "kinds": list(CORRUPTIONS)},
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
        `corrupt`: `strength` in (0, 1], default 0.75; `kinds` of images, some of noise, blur, occlusion.
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
    """A named set of probes: known examples by key; or generators, examples of the user's own, or both of these.

    Parameters
    ----------
    name : str
    generators : tuple of Generator
    members : tuple of (key, category)
        Known examples, which serve as they are.
    examples : tuple of (key, category)
        The user's own, which no dataset to be tagged holds: they are planted beside its examples.
    examples_fingerprint : str
        Of the dataset version that these are: inputs, labels and keys.
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
    examples: tuple[tuple[str, str], ...] = ()
    examples_fingerprint: str = ""

    def __post_init__(self) -> None:
        for name, kept in (
            ("generators", tuple(self.generators)),
            ("members", _sorted_pairs(self.members)),
            ("examples", _sorted_pairs(self.examples)),
            ("categories", tuple(self.categories)),
        ):
            object.__setattr__(self, name, kept)
        if not self.name:
            raise InvalidInput("A suite needs a name.", field="name")
        if not 0 < self.fit_share < 1:
            raise InvalidInput(
                f"fit_share is {self.fit_share}; it must lie between 0 and 1.", field="fit_share"
            )
        if bool(self.generators or self.examples) == bool(self.members):
            raise InvalidInput("A suite needs generators or members, and not both.", field="generators")
        if bool(self.examples) != bool(self.examples_fingerprint):
            raise InvalidInput("Examples of your own come with their fingerprint.", field="examples")
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
        for pairs in (self.members, self.examples):
            check_members(pairs, self.known_categories())
        names = [generator.name for generator in self.generators if not generator.planted]
        if len(set(names)) < len(names):
            raise InvalidInput("prototypical and atypical can be asked for once each.", field="generators")
        for generator in self.generators:
            if generator.category not in self.known_categories():
                raise InvalidInput(unknown_category(generator.category), field="category")
        if len(self.used_categories()) < 2:
            raise InvalidInput(
                "Tags need probes of at least two categories to choose between.", field="generators"
            )

    def known_categories(self) -> dict[str, Category]:
        """By name: the built-in ones, then the user's own."""
        return {category.name: category for category in (*CATEGORIES, *self.categories)}

    def used_categories(self) -> tuple[Category, ...]:
        """Those that some probe stands for, in the order of columns and of ties."""
        used = {generator.category for generator in self.generators}
        used |= {category for _, category in (*self.members, *self.examples)}
        return tuple(category for name, category in self.known_categories().items() if name in used)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives the same definition back."""
        # Left out where there are none, so that suites without them keep the digest that they always had.
        own = {
            "examples": [list(example) for example in self.examples],
            "examples_fingerprint": self.examples_fingerprint,
        }
        return {
            "name": self.name,
            "generators": [generator.to_dict() for generator in self.generators],
            "members": [list(member) for member in self.members],
            "categories": [{"name": c.name, "wrong_label": c.wrong_label} for c in self.categories],
            "fit_share": self.fit_share,
            "seed": self.seed,
            **(own if self.examples else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SuiteDefinition:
        allowed = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - allowed):
            raise InvalidInput(
                f"A suite has no field {unknown[0]!r}; it has {sorted(allowed)}.", field=unknown[0]
            )
        return cls(
            name=data.get("name", ""),
            generators=tuple(_build(Generator, part, "generators") for part in data.get("generators", ())),
            members=tuple((key, category) for key, category in data.get("members", ())),
            categories=tuple(_build(Category, part, "categories") for part in data.get("categories", ())),
            fit_share=data.get("fit_share", 0.5),
            seed=data.get("seed", 0),
            examples=tuple((key, category) for key, category in data.get("examples", ())),
            examples_fingerprint=data.get("examples_fingerprint", ""),
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


def _sorted_pairs(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(key), str(category)) for key, category in pairs))


def _build(kind: Callable[..., _Part], data: Mapping[str, Any], where: str) -> _Part:
    try:
        return kind(**data)
    except TypeError as fault:
        raise InvalidInput(f"In {where}, {dict(data)} has missing or unknown fields.", field=where) from fault


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
