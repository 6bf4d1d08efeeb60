"""② How a run trains, as data: a frozen recipe that goes to JSON and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from sondage.errors import InvalidInput

MODELS = ("convnet", "resnet20", "ngrams", "table_mlp", "linear", "mlp")
AUGMENTATIONS = ("none", "shift", "flip", "flip_shift")
USUAL_LR = {"sgd": 0.05, "adamw": 0.002}
_CUSTOM_MODEL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class _Rule(NamedTuple):
    """What a field may hold: a test, the same in words, and how the value is kept."""

    holds: Callable[[Any], bool]
    allowed: str
    keep: Callable[[Any], Any] = lambda value: value


def _choice(*values: str) -> _Rule:
    return _Rule(lambda value: value in values, "one of " + ", ".join(values))


def _flag() -> _Rule:
    return _Rule(lambda value: isinstance(value, bool), "true or false")


def _whole(low: int, high: int) -> _Rule:
    return _Rule(
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
        f"a whole number from {low} to {high}",
    )


def _number(low: float, high: float, *, above: bool = False, below: bool = False) -> _Rule:
    def holds(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (value > low if above else value >= low) and (value < high if below else value <= high)

    words = f"a number {'above' if above else 'from'} {low:g} {'and below' if below else 'to'} {high:g}"
    return _Rule(holds, words, float)


def _or_null(rule: _Rule) -> _Rule:
    return _Rule(
        lambda value: value is None or rule.holds(value),
        f"{rule.allowed}, or null",
        lambda value: None if value is None else rule.keep(value),
    )


def _is_model(value: Any) -> bool:
    return isinstance(value, str) and (value in MODELS or bool(_CUSTOM_MODEL.fullmatch(value)))


def _are_milestones(value: Any) -> bool:
    share = _number(0, 1, above=True, below=True)
    return (
        isinstance(value, list | tuple) and all(map(share.holds, value)) and sorted(set(value)) == list(value)
    )


_RULES: dict[str, _Rule] = {
    "model": _Rule(_is_model, f"one of {', '.join(MODELS)}, or your own as package.module:function"),
    "width": _or_null(_whole(1, 4096)),
    "dropout": _number(0, 1, below=True),
    "optimiser": _choice("sgd", "adamw"),
    "lr": _number(0, 100, above=True),
    "momentum": _number(0, 1, below=True),
    "nesterov": _flag(),
    "weight_decay": _number(0, 10),
    "schedule": _choice("cosine", "step", "constant"),
    "warmup_epochs": _number(0, 10_000),
    "milestones": _Rule(
        _are_milestones, "rising shares of the training, each between 0 and 1, such as [0.5, 0.75]", tuple
    ),
    "gamma": _number(0, 1, above=True),
    "num_epochs": _whole(1, 10_000),
    "batch_size": _whole(2, 1_000_000),
    "label_smoothing": _number(0, 1, below=True),
    "augment": _choice(*AUGMENTATIONS),
    "image_size": _or_null(_whole(8, 1024)),
    "pass_": _choice("training", "evaluation"),
    "score_displaced": _flag(),
    "mixed_precision": _choice("auto", "off"),
    "channels_last": _choice("auto", "off"),
    "deterministic": _flag(),
    "dtype": _choice("float32", "float16"),
}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a run trains, but its data and its seed.

    Checked when made: a recipe that exists is valid. `docs/guides/recipes.md` explains each field.

    Parameters
    ----------
    model : str
        `convnet`, `resnet20` (images), `ngrams` (text), `table_mlp` (tables), `linear`, `mlp` (vectors),
        or `package.module:function`, which gets the `InputSpec` and returns a `torch.nn.Module`.
    width : int, optional
        Channels of the first block, or hidden units; None is the model's own default.
    dropout : float in [0, 1)
    optimiser, lr, momentum, nesterov, weight_decay
        `sgd` uses them all, `adamw` only `lr` and `weight_decay`.
    schedule, warmup_epochs, milestones, gamma
        `cosine` to 0, `step` (times `gamma` at each milestone, a share of the training) or `constant`;
        before it the rate rises linearly over `warmup_epochs`.
    num_epochs, batch_size : int
    label_smoothing : float in [0, 1)
        Of the loss that trains. The recorded loss is always the plain cross-entropy.
    augment : {"none", "shift", "flip", "flip_shift"}
        Images only; the same for examples and probes.
    image_size : int, optional
        Images are scaled to this many pixels a side; None keeps their own size.
    pass_ : {"training", "evaluation"}
        `"pass"` in JSON. What is recorded: the pass that trains, or one more pass in evaluation mode after
        each epoch, without augmentation and dropout.
    score_displaced : bool
        Record also, out of sample, examples whose place a probe took. Evaluation pass only.
    mixed_precision, channels_last : {"auto", "off"}
        Used on a GPU only (bfloat16, where the GPU has it).
    deterministic : bool
        Deterministic algorithms only; slower on a GPU.
    dtype : {"float32", "float16"}
        In which loss and margin curves are kept.
    """

    model: str = "convnet"
    width: int | None = None
    dropout: float = 0.0
    optimiser: str = "sgd"
    lr: float = USUAL_LR["sgd"]
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    num_epochs: int = 30
    batch_size: int = 128
    label_smoothing: float = 0.0
    augment: str = "none"
    image_size: int | None = None
    pass_: str = "training"  # noqa: S105 (a pass over the data, not a password)
    score_displaced: bool = False
    mixed_precision: str = "auto"
    channels_last: str = "auto"
    deterministic: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, rule in _RULES.items():
            value = getattr(self, name)
            if not rule.holds(value):
                raise InvalidInput(
                    f"{_public(name)} is {value!r}: allowed is {rule.allowed}.", field=_public(name)
                )
            object.__setattr__(self, name, rule.keep(value))
        self._check_together()

    def _check_together(self) -> None:
        if self.warmup_epochs >= self.num_epochs:
            raise InvalidInput(
                f"warmup_epochs is {self.warmup_epochs:g} and num_epochs {self.num_epochs}: warm up for less "
                "than the whole training.",
                field="warmup_epochs",
            )
        if self.optimiser == "sgd" and self.nesterov and self.momentum == 0:
            raise InvalidInput("nesterov needs a momentum above 0: set nesterov to false.", field="nesterov")
        if self.score_displaced and not self.evaluates:
            raise InvalidInput(
                'score_displaced needs "pass": "evaluation": displaced examples are in no training pass.',
                field="score_displaced",
            )

    @property
    def evaluates(self) -> bool:
        """Whether a pass of its own, in evaluation mode, is recorded."""
        return self.pass_ == "evaluation"  # noqa: S105

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Make a recipe of its JSON form; fields left out take their defaults.

        Raises
        ------
        InvalidInput
            A field is unknown or its value not allowed; `field` names it.
        """
        return cls(**_private_names(values))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with every field."""
        values = {_public(f.name): getattr(self, f.name) for f in fields(self)}
        return values | {"milestones": list(self.milestones)}

    def with_overrides(self, values: Mapping[str, Any]) -> Recipe:
        """This recipe with some fields changed, given in the JSON form.

        Another optimiser brings its usual learning rate unless one is given with it: the two differ by
        more than an order of magnitude.
        """
        changes = _private_names(values)
        other = changes.get("optimiser", self.optimiser)
        if other != self.optimiser and "lr" not in changes and other in USUAL_LR:
            changes["lr"] = USUAL_LR[other]
        return replace(self, **changes)

    def protocol(self) -> dict[str, Any]:
        """What was recorded and when: fixed per run, and the same for probes and examples."""
        return {
            "pass": self.pass_,
            "augment": "none" if self.evaluates else self.augment,
            "dropout": 0.0 if self.evaluates else self.dropout,
            "dtype": self.dtype,
        }


def _public(name: str) -> str:
    return "pass" if name == "pass_" else name


def _private_names(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {_public(name): name for name in _RULES}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InvalidInput(
            f"A recipe has no field {unknown[0]!r}: its fields are {', '.join(known)}.", field=unknown[0]
        )
    return {known[name]: value for name, value in values.items()}


def default_recipe(modality: str, num_examples: int, num_classes: int) -> Recipe:
    """A sensible recipe for a data set: minutes on two CPU cores up to tens of thousands of examples.

    Parameters
    ----------
    modality : {"image", "text", "table", "vector"}
    num_examples : int
        Of the train split. More examples get larger batches and fewer epochs.
    num_classes : int
        Many classes get more epochs: each is seen less often.
    """
    if modality not in _DEFAULTS:
        raise InvalidInput(f"modality is {modality!r}: allowed are {', '.join(_DEFAULTS)}.", field="modality")
    chosen = _DEFAULTS[modality]
    num_epochs = chosen.num_epochs
    if num_examples > 20_000:
        num_epochs = max(num_epochs // 3, 6)
    if num_classes > 50:
        num_epochs *= 2
    batch_size = 32 if num_examples < 1_000 else 64 if num_examples < 20_000 else 128
    return replace(chosen, num_epochs=num_epochs, batch_size=batch_size)


_DEFAULTS = {
    "image": Recipe(model="convnet", num_epochs=24, warmup_epochs=1, augment="shift"),
    "text": Recipe(
        model="ngrams", num_epochs=12, optimiser="adamw", lr=0.004, weight_decay=0.01, dropout=0.5
    ),
    "table": Recipe(
        model="table_mlp", num_epochs=12, optimiser="adamw", lr=0.002, weight_decay=0.01, dropout=0.2
    ),
    "vector": Recipe(model="linear", num_epochs=30, optimiser="adamw", lr=0.004, weight_decay=0.01),
}
