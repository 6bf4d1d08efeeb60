"""③ The look at a model's features from the user's own loop, which goes on afterwards as if nothing had been."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sondage.recorder.features import SEED
from sondage.torch.batches import inputs_in, labels_in, rows_in
from sondage.torch.features import Given, NotOneVectorEach, last_linear, narrowed, projection

if TYPE_CHECKING:
    from sondage.recorder.run import Run

NO_LAYER = "the model's last linear layer does not give the run's classes; pass the layer that does, look(…, layer=…)"
NOT_ONE_VECTOR = (
    "the layer is not given one vector for each example, once in a forward pass; pass one that is: layer=…"
)
NO_BATCH = "the loader gave no batch; pass one that can be gone through again"


def look(
    run: Run,
    model: nn.Module,
    loader: Iterable[Any],
    *,
    layer: nn.Module | None = None,
    forward: Callable[[Any], Any] | None = None,
    epochs: Collection[int] | None = None,
) -> None:
    """Record what a look tells of this epoch, if one is due; call it in every epoch before `run.end_epoch()`.

    That are the channels `label_odds` and `distance`, whichever the run was begun with. The examples go through the
    model once, in evaluation mode and without gradients; what its last linear layer is given are the features
    (`Run.log_features`). Parameters, modes and the states of random generators are afterwards what they were. What goes
    wrong is warned of once, and the training goes on.

    Parameters
    ----------
    run : Run
        Begun with `init(channels=(…, "label_odds", "distance"))`, or with one of the two.
    model : nn.Module
    loader : iterable of batches
        Of `Indexed` or planted examples, without augmentation; one of its own serves best, which leaves none out and
        need not shuffle: `DataLoader(Indexed(dataset), batch_size=512)`.
    layer : nn.Module, optional
        Whose input, one vector an example, are the features: the model's last linear layer when not given.
    forward : callable, optional
        Gets a batch and runs the model on it. When not given the model gets the inputs, on its device: the first of
        (inputs, labels, rows), or as keywords what a mapping holds beside row and labels.
    epochs : collection of int, optional
        From 0: in which epochs a look is due; those of `run.wants_features` when not given.
    """
    if not (run.wants_features if epochs is None else run.next_epoch in epochs):
        return
    model = _plain(model)
    layer = layer or last_linear(model, run.num_classes)
    if layer is None:
        run.drop_features(NO_LAYER)
        return
    try:
        with _undisturbed(model, loader), torch.no_grad(), Given(layer) as given:
            _log_all(run, model, loader, given, forward)
    except NotOneVectorEach:
        run.drop_features(NOT_ONE_VECTOR)
    except Exception as fault:
        run.drop_features(f"{type(fault).__name__}: {fault}")
    except BaseException:  # interrupted: half a look is none
        run.drop_features()
        raise


def _plain(model: nn.Module) -> nn.Module:
    """On one device, and uncompiled: what is compiled does not see hooks that come later."""
    model = getattr(model, "_orig_mod", model)
    return model.module if isinstance(model, nn.DataParallel) else model


def _log_all(
    run: Run, model: nn.Module, loader: Iterable[Any], given: Given, forward: Callable[[Any], Any] | None
) -> None:
    device = next((one.device for one in model.parameters()), torch.device("cpu"))
    narrow: Tensor | None = None
    found: Tensor | None = None
    for batch in loader:
        rows = rows_in(batch)
        if forward is None:
            _run(model, inputs_in(batch), device)
        else:
            forward(batch)
        wide = given.vectors(len(rows))
        if found is None:
            narrow = projection(wide.shape[1], SEED, wide.device)
        found = narrowed(wide, narrow)
        run.log_features(rows=rows, features=found, labels=labels_in(batch))
    if found is None:
        run.drop_features(NO_BATCH)


def _run(model: nn.Module, inputs: Any, device: torch.device) -> None:
    if isinstance(inputs, dict):
        model(**{name: _on(device, value) for name, value in inputs.items()})
    else:
        model(_on(device, inputs))


def _on(device: torch.device, value: Any) -> Any:
    return value.to(device) if hasattr(value, "to") else value


@contextmanager
def _undisturbed(model: nn.Module, loader: Any) -> Iterator[None]:
    """In evaluation mode, and parts that are compiled by themselves uncompiled."""
    was_training = model.training
    modes = [(module, module.training) for module in model.modules()]
    cuda = sorted({one.device.index for one in model.parameters() if one.device.type == "cuda"})
    generators = [(one, one.get_state()) for one in _generators(loader)]
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(cuda), _eager():
            model.eval()
            yield
    finally:
        model.train(
            was_training
        )  # where that does more than to set modes, as of adapters that merge their weights
        for module, training in modes:
            module.training = training
        for one, state in generators:
            one.set_state(state)
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def _generators(loader: Any) -> list[torch.Generator]:
    sampler, batch_sampler = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
    holders = (loader, sampler, batch_sampler, getattr(batch_sampler, "sampler", None))
    found = {id(one): one for one in (getattr(holder, "generator", None) for holder in holders)}
    return [one for one in found.values() if isinstance(one, torch.Generator)]


def _eager() -> AbstractContextManager[Any]:
    stance: Any = getattr(torch.compiler, "set_stance", None)  # torch 2.6
    return nullcontext() if stance is None or "torch._dynamo" not in sys.modules else stance("force_eager")
