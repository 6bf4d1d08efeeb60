"""③ Recording from the Hugging Face Trainer: a mixin over `compute_loss`. See `docs/guides/transformers.md`.

The Trainer's callbacks do not see losses or logits, so a callback could not do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import IterableDataset, default_collate

from sondage.errors import InvalidInput, Unsupported
from sondage.loops import Epochs, Recording
from sondage.torch.indexed import Indexed, collate

try:
    from transformers import TrainerCallback
except ModuleNotFoundError:
    raise ImportError("SondageTrainerMixin needs transformers: pip install 'sondage[transformers]'") from None

ROW_KEY = "sondage_row"
"""Under which rows travel from the dataset to `compute_loss`."""


class SondageTrainerMixin:
    """Records every training batch of a Trainer.

    ::

        class MyTrainer(SondageTrainerMixin, Trainer):
            pass

        trainer = MyTrainer(model=model, args=args, train_dataset=dataset, sondage_run=sondage.init(…))

    Parameters
    ----------
    sondage_run : Run or None
        What `sondage.init` returned; None records nothing. Row *i* is example *i* of `train_dataset`, unless that is
        `Indexed` or planted: then its own rows count.
    sondage_finish : bool
        End the run when `train` returns.

    Raises
    ------
    Unsupported
        The train dataset is iterable: it has no rows.
    InvalidInput
        In the first step: the model returns no logits of one row per example, or the batch has no labels.

    Notes
    -----
    The recorded loss is the plain cross-entropy of the logits against the given label, also under
    `label_smoothing_factor` or a loss of your own, which the run's protocol names. A `compute_loss` of your own stands
    in a class on the right of the mixin, or calls `super()`. Rows pass `remove_unused_columns`, and no model sees them.
    """

    def __init__(
        self, *args: Any, sondage_run: Recording | None = None, sondage_finish: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sondage: Epochs | None = None
        self._sondage_finish = sondage_finish
        if sondage_run is None:
            return
        self._sondage = Epochs(sondage_run)
        trainer: Any = self
        trainer.train_dataset = with_rows(trainer.train_dataset)
        trainer.data_collator = sondage_collator(trainer.data_collator)
        trainer.add_callback(_EpochCallback(self._sondage))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        if self._sondage is not None:
            self._sondage.run.note_training_loss(_training_loss(self))
        try:
            outcome = inner.train(*args, **kwargs)
        except BaseException as fault:
            if self._sondage is not None:
                self._sondage.break_off(fault)
            raise
        if self._sondage is not None and self._sondage_finish:
            self._sondage.run.finish()
        return outcome

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        inner: Any = super()
        rows = inputs.pop(ROW_KEY, None)
        if self._sondage is None or not model.training:
            return inner.compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if rows is None:
            raise InvalidInput(
                f"The batch has no {ROW_KEY!r}: a loader or collator of your own leaves it out. Wrap the collator in "
                "sondage_collator and the dataset in with_rows.",
                field="rows",
            )
        labels = _labels(self, inputs)  # before smoothing takes them out
        loss, outputs = inner.compute_loss(model, inputs, True, num_items_in_batch)
        self._sondage.log(rows=rows, logits=logits_in(outputs), labels=labels)
        return (loss, outputs) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        inputs.pop(ROW_KEY, None)  # the train dataset is being evaluated
        return inner.prediction_step(model, inputs, *args, **kwargs)

    def _set_signature_columns_if_needed(self) -> None:
        """Columns that the Trainer does not take out: what the model knows, and the row."""
        inner: Any = super()
        inner._set_signature_columns_if_needed()
        trainer: Any = self
        if ROW_KEY not in trainer._signature_columns:
            trainer._signature_columns = [*trainer._signature_columns, ROW_KEY]


class _EpochCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
    """Opens and closes epochs as the Trainer does."""

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._epochs.begin(int(state.epoch or 0))

    def on_epoch_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._epochs.end()


def with_rows(dataset: Any) -> Any:
    """A train dataset whose examples, mappings, say their row; the rows of `Indexed` and `plant` stay as they are.

    Raises
    ------
    Unsupported
        It is iterable.
    """
    if isinstance(dataset, Indexed):
        return dataset.with_key(ROW_KEY)
    if dataset is None or ROW_KEY in (getattr(dataset, "column_names", None) or ()):
        return dataset
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise Unsupported("An iterable dataset has no rows: use a map-style one.", field="train_dataset")
    if not hasattr(dataset, "add_column") or dataset.format["type"] == "custom":
        return Indexed(dataset, key=ROW_KEY)
    columns = dataset.format["columns"]  # of the package datasets; a format may leave columns out
    added = dataset.add_column(ROW_KEY, list(range(len(dataset))))
    return added.with_format(
        dataset.format["type"], columns=[*columns, ROW_KEY], **dataset.format["format_kwargs"]
    )


def sondage_collator(collator: Callable[[list[Any]], Any] = default_collate) -> Callable[[list[Any]], Any]:
    """A data collator that hands the rows past `collator` into the batch; examples without rows pass as they are.

    The mixin puts it round the Trainer's own. Use it where you build loaders yourself.
    """
    return collator if isinstance(collator, _RowCollator) else _RowCollator(collator)


class _RowCollator:
    def __init__(self, collator: Callable[[list[Any]], Any]) -> None:
        self._plain = collator
        self._with_rows = collate(collator, key=ROW_KEY)

    def __call__(self, features: list[Any]) -> Any:
        if not features or not isinstance(features[0], Mapping) or ROW_KEY not in features[0]:
            return self._plain(features)
        batch, rows = self._with_rows(features)
        if not isinstance(batch, Mapping):
            raise InvalidInput(f"The collator gave a {type(batch).__name__}; the Trainer needs a mapping.")
        batch[ROW_KEY] = rows  # type: ignore[index]  # a dict or a BatchEncoding, which can be written to
        return batch


def logits_in(outputs: Any) -> Tensor:
    """The logits of what a model returned, shape (B, C).

    Raises
    ------
    InvalidInput
        There are none.
    """
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if found is None and isinstance(outputs, tuple | list):
        found = next((one for one in outputs if isinstance(one, Tensor) and one.dim() > 1), None)
    if not isinstance(found, Tensor):
        raise InvalidInput(
            "The model returned no logits: SondageTrainerMixin records models that classify.", field="logits"
        )
    return found


def _training_loss(trainer: Any) -> str:
    """What is known of the loss that trains."""
    found = []
    own = next(kind for kind in type(trainer).__mro__ if kind is not SondageTrainerMixin and _computes(kind))
    if not own.__module__.startswith("transformers."):
        found.append(f"compute_loss of {own.__qualname__}")
    function = getattr(trainer, "compute_loss_func", None)
    if function is not None:
        found.append(f"compute_loss_func {getattr(function, '__qualname__', type(function).__qualname__)}")
    if trainer.args.label_smoothing_factor:
        found.append(f"label smoothing {trainer.args.label_smoothing_factor:g}")
    return ", ".join(found) or "the model's own, not looked at"


def _computes(kind: type) -> bool:
    return "compute_loss" in vars(kind)


def _labels(trainer: Any, inputs: Mapping[str, Any]) -> Tensor:
    for name in (*(trainer.label_names or ()), "labels", "label"):
        if isinstance(inputs.get(name), Tensor):
            labels: Tensor = inputs[name]
            return labels
    raise InvalidInput(f"The batch has no labels, only {', '.join(inputs)}.", field="labels")
