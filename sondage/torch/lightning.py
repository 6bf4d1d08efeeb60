"""③ Recording from PyTorch Lightning: a callback. See `docs/guides/lightning.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sondage.errors import InvalidInput
from sondage.loops import Epochs, Recording
from sondage.torch.batches import labels_in, rows_in

try:
    from lightning.pytorch import Callback
except ModuleNotFoundError:
    try:
        from pytorch_lightning import Callback
    except ModuleNotFoundError:
        raise ImportError("SondageCallback needs Lightning: pip install 'sondage[lightning]'") from None

NOT_LOOKED_AT = "the module's own, not looked at"
"""What the protocol says of the loss that trains: the callback sees its value, not what it is."""
TAKEN = ("logits", "losses", "labels", "rows", "margin", "predicted")
"""What the callback looks for in what `training_step` returns."""


class SondageCallback(Callback):  # type: ignore[misc]  # Lightning is not followed
    """Hands every training batch to a run, closes its epochs and ends it with the training.

    `training_step` returns a mapping with `loss`, as ever, and `logits`, shape (B, C). Rows and given labels are taken
    from the mapping (`rows`, `labels`) or else from the batch: of a loader over `sondage.torch.Indexed(dataset)`,
    (inputs, labels, rows) or a mapping with `row` and `label` or `labels`.

    Parameters
    ----------
    run : Run, or callable
        What `sondage.init` returned. Under several processes `functools.partial(sondage.init, …)`, which each calls
        with its `rank=` and `world_size=`.
    from_outputs : bool
        False: `training_step` calls `run.log` itself, as with manual optimisation.
    finish : bool
        End the run when `fit` ends.

    Raises
    ------
    InvalidInput
        In the first step: there are no logits, labels or rows to be found.

    Notes
    -----
    The recorded loss is the plain cross-entropy of the logits against the given label, whatever `loss` trains; the
    protocol says so, and that the training's own loss is not looked at, unless `init(training_loss=…)` names it. With
    mixed inputs or labels (mixup) return the logits of unmixed inputs, or the given labels of what was mixed most.
    Checks before the training and `fast_dev_run` are not recorded. An exception ends the run as failed; the epoch
    under way is dropped, and the exception goes on its way.
    """

    def __init__(
        self, run: Recording | Callable[..., Recording], *, from_outputs: bool = True, finish: bool = True
    ) -> None:
        super().__init__()
        self._given = run
        self._from_outputs = from_outputs
        self._finish = finish
        self._epochs: Epochs | None = None
        self._is_noted = False

    @property
    def run(self) -> Recording:
        """The run of this process.

        Raises
        ------
        InvalidInput
            It is made by a callable, and `fit` has not begun.
        """
        if self._epochs is not None:
            return self._epochs.run
        if callable(self._given):
            raise InvalidInput("The run begins with fit: ask for it afterwards.")
        return self._given

    # ---- hooks of Lightning, which passes more in newer versions

    def on_fit_start(self, trainer: Any, pl_module: Any, **more: Any) -> None:
        if trainer.fast_dev_run:
            return
        if callable(self._given):
            if self._epochs is None:
                made = self._given(rank=trainer.global_rank, world_size=trainer.world_size)
                self._epochs = Epochs(made)
            return
        _check_ranks(self._given, trainer.world_size)
        self._epochs = Epochs(self._given)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any, **more: Any) -> None:
        if self._epochs is not None:
            self._epochs.begin(trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, **more: Any
    ) -> None:
        if self._epochs is not None and self._from_outputs and not self._is_skipped(pl_module, outputs):
            found = _values(outputs, batch)
            if not self._is_noted and "loss" not in found:
                self._epochs.run.note_training_loss(NOT_LOOKED_AT)
            self._is_noted = True
            self._epochs.log(**found)

    def _is_skipped(self, pl_module: Any, outputs: Any) -> bool:
        """Did the step return None? Its examples were not trained on. Lightning hands over an empty mapping then.

        With manual optimisation such a step may have trained all the same: the first is told what is missing.
        """
        if isinstance(outputs, Mapping) and not outputs:
            return self._is_noted or bool(pl_module.automatic_optimization)
        return outputs is None

    def on_train_epoch_end(self, trainer: Any, pl_module: Any, **more: Any) -> None:
        if self._epochs is not None:
            self._epochs.end(**_plain(trainer.callback_metrics))

    def on_fit_end(self, trainer: Any, pl_module: Any, **more: Any) -> None:
        if self._epochs is not None and self._finish:
            self._epochs.run.finish()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException, **more: Any) -> None:
        if self._epochs is not None:
            self._epochs.break_off(exception)


def _values(outputs: Any, batch: Any) -> dict[str, Any]:
    """What one step says of its examples."""
    found = {name: outputs[name] for name in TAKEN if name in outputs} if isinstance(outputs, Mapping) else {}
    if "logits" not in found and "losses" not in found:
        raise InvalidInput(
            "training_step returned nothing to record: return {'loss': loss, 'logits': logits}, or call run.log in "
            "it and use SondageCallback(run, from_outputs=False).",
            field="logits",
        )
    if "losses" in found:
        found["loss"] = found.pop("losses")
    if "rows" not in found:
        found["rows"] = rows_in(batch)
    if "logits" in found and "labels" not in found:
        found["labels"] = labels_in(batch)
    return found


def _plain(metrics: Mapping[str, Any]) -> dict[str, float]:
    """What the module logged for progress bars and checkpoints, as numbers."""
    return {str(name): float(value) for name, value in metrics.items()}


def _check_ranks(run: Recording, world_size: int) -> None:
    known = getattr(run, "world_size", world_size)
    if known != world_size:
        raise InvalidInput(
            f"The run was begun for {known} processes and {world_size} train: pass "
            "SondageCallback(functools.partial(sondage.init, …)), which begins it in each.",
            field="run",
        )
