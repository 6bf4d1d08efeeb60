"""② Models by name: from a recipe and the form of the inputs to a torch module."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from typing import NamedTuple

from torch import nn

from sondage.errors import Forbidden, InvalidInput
from sondage.recipe import Recipe
from worker.data.inputs import InputSpec
from worker.training.models.convnet import ConvNet
from worker.training.models.ngrams import NGrams
from worker.training.models.resnet import ResNet20
from worker.training.models.table import TableMLP
from worker.training.models.vectors import linear, mlp

__all__ = ["InputSpec", "build_model"]


class _Entry(NamedTuple):
    modality: str
    width: int
    build: Callable[[InputSpec, int, float], nn.Module]


_MODELS = {
    "convnet": _Entry("image", 32, ConvNet),
    "resnet20": _Entry("image", 16, ResNet20),
    "ngrams": _Entry("text", 32, NGrams),
    "table_mlp": _Entry("table", 128, TableMLP),
    "linear": _Entry("vector", 0, linear),
    "mlp": _Entry("vector", 128, mlp),
}


def build_model(recipe: Recipe, spec: InputSpec, *, allowed_modules: Collection[str] = ()) -> nn.Module:
    """The recipe's model for inputs of this form, freshly initialised from torch's global generator.

    Parameters
    ----------
    recipe : Recipe
    spec : InputSpec
    allowed_modules : collection of str
        Modules from which a model of the user's own (`module:function`) may come. Importing a module runs
        it: this list is the operator's, never the user's.

    Returns
    -------
    torch.nn.Module
        Takes the batch's prepared inputs (image: one float tensor (B, C, H, W); vector: one (B, d); table:
        numeric (B, d) and codes (B, m); text: tokens and starts) and returns logits (B, num_classes).

    Raises
    ------
    InvalidInput
        The model is for other inputs, or the named function does not give a module.
    Forbidden
        The module is not on the list.
    """
    if ":" in recipe.model:
        return _custom_model(recipe.model, spec, allowed_modules)
    entry = _MODELS[recipe.model]
    if entry.modality != spec.modality:
        fitting = " or ".join(name for name, one in _MODELS.items() if one.modality == spec.modality)
        raise InvalidInput(
            f"model {recipe.model!r} takes {entry.modality} inputs and this dataset holds {spec.modality} "
            f"inputs: use {fitting}.",
            field="model",
        )
    return entry.build(spec, recipe.width or entry.width, recipe.dropout)


def _custom_model(name: str, spec: InputSpec, allowed_modules: Collection[str]) -> nn.Module:
    module_name, function_name = name.split(":")
    if module_name not in allowed_modules:
        allowed = ", ".join(sorted(allowed_modules)) or "none"
        raise Forbidden(
            f"Models may not come from module {module_name!r}. The server's settings allow: {allowed}."
        )
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"model {name!r} cannot be imported: {error}.", field="model") from error
    model = function(spec)
    if not isinstance(model, nn.Module):
        raise InvalidInput(
            f"{name} returned {type(model).__name__}: it must return a torch.nn.Module.", field="model"
        )
    return model
