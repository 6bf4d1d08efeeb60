"""② A run's recipe: the dataset's default with the user's changes, checked before anything is queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sondage.errors import Forbidden, InvalidInput
from sondage.recipe import Recipe, default_recipe
from store.tables import Dataset

CHANNELS = ["loss", "margin", "predicted"]
TAKES = {
    "convnet": "image",
    "resnet20": "image",
    "ngrams": "text",
    "table_mlp": "table",
    "linear": "vector",
    "mlp": "vector",
}
"""What each model is for, as the worker has it."""


def recipe_for(dataset: Dataset, changes: Mapping[str, Any], model_modules: list[str]) -> Recipe:
    """The recipe to train with.

    Raises
    ------
    InvalidInput
        A field is unknown or its value not allowed or not for such inputs, or the dataset has no inputs.
    Forbidden
        A model of the user's own from a module that the server does not allow.
    """
    if dataset.modality == "none":
        raise InvalidInput(
            f"Dataset {dataset.id} ({dataset.name}) has no inputs, so the server cannot train on it: record your own "
            "training, or register the inputs as a dataset.",
            field="dataset_id",
        )
    num_train = dataset.splits.get("train", 0)
    recipe = default_recipe(dataset.modality, num_train, len(dataset.class_names)).with_overrides(changes)
    _check_fit(recipe, dataset.modality)
    module, colon, _ = recipe.model.partition(":")
    if colon and module not in model_modules:
        raise Forbidden(
            f"This server takes no models from {module!r}: its operator must name the module in "
            "SONDAGE_MODEL_MODULES."
        )
    return recipe


def _check_fit(recipe: Recipe, modality: str) -> None:
    """What the worker would stumble over later."""
    if TAKES.get(recipe.model, modality) != modality:
        fitting = " or ".join(name for name, takes in TAKES.items() if takes == modality)
        raise InvalidInput(
            f"model {recipe.model!r} takes {TAKES[recipe.model]} inputs and this dataset holds {modality} inputs: "
            f"use {fitting}.",
            field="model",
        )
    for field, given in (
        ("augment", recipe.augment != "none"),
        ("image_size", recipe.image_size is not None),
    ):
        if given and modality != "image":
            raise InvalidInput(
                f"{field} is for pictures, and this dataset holds {modality} inputs: leave it out.",
                field=field,
            )


def protocol_of(recipe: Recipe) -> dict[str, Any]:
    """What will be recorded and when."""
    return {**recipe.protocol(), "channels": CHANNELS}
