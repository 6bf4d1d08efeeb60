"""③ What the last linear layer of a model is given: the features of a look (`sondage.tagging.left_out`)."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from sondage.tagging.left_out import directions


class NotOneVectorEach(Exception):
    """The layer is used twice, or not at all, or on something else than one vector a row."""


def last_linear(model: nn.Module, num_classes: int | None) -> nn.Linear | None:
    """The last linear layer of a model, if its outputs are the classes; without `num_classes` whatever they are."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    if not layers or num_classes not in (None, layers[-1].out_features):
        return None
    return layers[-1]


class Given:
    """Keeps what a layer is given, as long as it is entered.

    Parameters
    ----------
    layer : nn.Module
        A linear layer, or what stands for one: it takes one vector a row.
    """

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._taken: list[Any] = []

    def __enter__(self) -> Self:
        self._hook = self._layer.register_forward_pre_hook(self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()
        self._taken.clear()

    def vectors(self, num_rows: int) -> Tensor:
        """Of the forward pass since the last call, float32, shape (num_rows, width).

        Raises
        ------
        NotOneVectorEach
        """
        taken, self._taken = self._taken, []
        width = getattr(self._layer, "in_features", None)
        if len(taken) != 1 or not isinstance(taken[0], Tensor) or taken[0].dim() != 2:
            raise NotOneVectorEach
        if len(taken[0]) != num_rows or width not in (None, taken[0].shape[1]):
            raise NotOneVectorEach
        return taken[0].detach().float()

    def _take(self, layer: nn.Module, given: tuple[Any, ...]) -> None:
        self._taken.extend(given[:1])


def projection(width: int, seed: int, device: torch.device) -> Tensor | None:
    """`directions` on a device."""
    drawn = directions(width, seed)
    return None if drawn is None else torch.from_numpy(drawn).to(device)


def narrowed(features: Tensor, projection: Tensor | None) -> Tensor:
    return features if projection is None else features @ projection
