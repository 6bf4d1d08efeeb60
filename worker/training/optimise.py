"""② Optimisers and learning rates, as pure functions of the recipe and of where in the training one is."""

from __future__ import annotations

import inspect
import math
from typing import TypeVar, cast

import torch
from torch import nn

from sondage.recipe import Recipe

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


def _without_compiler(kind: type[Kind]) -> type[Kind]:
    """The same optimiser without the wrappers that import torch's compiler.

    Nothing here is compiled, and that import (`torch._dynamo`, sympy) is 1.3 s of every training's start. torch 2.13
    wraps these methods only to keep the compiler out of them, and `step` also to switch gradients off.
    """
    plain = {
        name: inspect.unwrap(getattr(kind, name))
        for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    }
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return cast("type[Kind]", type(kind.__name__, (kind,), {**plain, "step": step}))


SGD, AdamW = _without_compiler(torch.optim.SGD), _without_compiler(torch.optim.AdamW)


def build_optimiser(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser over all parameters of the model; its rate is set at every step."""
    parameters = list(model.parameters())
    # One fused kernel for all parameters; the loop over them would be most of a small model's step on a GPU.
    fused = all(parameter.is_cuda for parameter in parameters)
    if recipe.optimiser == "adamw":
        return AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
    return SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=fused,
    )


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate of one step, counted from 0 over the whole training.

    Rises linearly to `lr` over the warm-up, whose last step has the full rate; then follows the schedule.
    """
    warmup_steps = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup_steps:
        return recipe.lr * (step + 1) / warmup_steps
    num_steps = recipe.num_epochs * steps_per_epoch
    if recipe.schedule == "cosine":
        share = (step - warmup_steps) / max(num_steps - warmup_steps, 1)
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * share))
    if recipe.schedule == "step":
        passed = sum(step >= milestone * num_steps for milestone in recipe.milestones)
        return recipe.lr * recipe.gamma**passed
    return recipe.lr


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
