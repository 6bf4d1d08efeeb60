"""A real Hugging Face Trainer with a BERT of one tiny layer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import Subset

from sondage.errors import InvalidInput, Unsupported
from sondage.probes.suite import Generator, SuiteDefinition
from sondage.torch import Indexed, plant

pytestmark = pytest.mark.filterwarnings("ignore")  # the Trainer's own
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")
    datasets = pytest.importorskip("datasets")
    from sondage.torch.transformers import (
        ROW_KEY,
        SondageTrainerMixin,
        _training_loss,
        sondage_collator,
        with_rows,
    )

N, WORDS, CLASSES = 22, 30, 3


class Spy(transformers.BertForSequenceClassification):
    """Notes the loss of every example as the model saw it."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, labels: Any = None) -> Any:
        out = super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
        if self.training and labels is not None:
            loss = functional.cross_entropy(out.logits, labels, reduction="none")
            for number, value in zip(input_ids[:, 0].tolist(), loss.tolist(), strict=True):
                self.seen.setdefault(number, []).append(value)
        return out


def model(kind: type = Spy) -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=WORDS,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=16,
        num_labels=CLASSES,
    )
    made = kind(config)
    made.seen = {}
    return made


def texts() -> list[dict[str, Any]]:
    """The first token of each is its row: the spy reads it."""
    rng = np.random.default_rng(0)
    words = [[row, *rng.integers(WORDS, size=4).tolist()] for row in range(N)]
    return [
        {"input_ids": tokens, "attention_mask": [1] * 5, "labels": row % CLASSES, "text": "not of the model"}
        for row, tokens in enumerate(words)
    ]


class MyTrainer(SondageTrainerMixin, transformers.Trainer):
    pass


def trainer(tmp_path: Any, run: Any, dataset: Any, *, kind: type = MyTrainer, **options: Any) -> Any:
    usual = {
        "output_dir": str(tmp_path / "out"),
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    args = transformers.TrainingArguments(**{**usual, **options})
    return kind(model=model(), args=args, train_dataset=dataset, sondage_run=run)


def check(recorded: Any, made: Any) -> None:
    expected = np.array([made.model.seen[row] for row in range(N)])
    np.testing.assert_allclose(recorded.curves(), expected, rtol=1e-4)


def protocol(run: Any) -> dict[str, str | None]:
    """As it is in the spool, from where it goes to the server."""
    said: dict[str, str | None] = run._parts.outbox.folder.spec().protocol
    return said


def hub_dataset() -> Any:
    return datasets.Dataset.from_list(texts())


@pytest.mark.parametrize("dataset", [hub_dataset, texts], ids=["datasets", "list"])
def test_every_example_is_recorded(recorded, tmp_path, dataset) -> None:
    made = trainer(tmp_path, recorded.init(num_examples=N), dataset())
    made.train()
    check(recorded, made)
    assert recorded.ended() == "finished"
    assert recorded.parcels()[0].coverage == 1.0


def test_formats_that_leave_columns_out_or_change_everything(recorded, tmp_path) -> None:
    formatted = hub_dataset().with_format("torch", columns=["input_ids", "attention_mask", "labels"])
    made = trainer(tmp_path, recorded.init(num_examples=N), formatted)
    made.train()
    check(recorded, made)


def test_a_transform_on_the_fly(recorded, tmp_path) -> None:
    changed = hub_dataset().with_transform(
        lambda batch: {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    )
    made = trainer(tmp_path, recorded.init(num_examples=N), changed, remove_unused_columns=False)
    made.train()
    check(recorded, made)


def test_smoothing_and_accumulation_leave_the_plain_loss(recorded, tmp_path) -> None:
    run = recorded.init(num_examples=N)
    options = {"label_smoothing_factor": 0.2, "gradient_accumulation_steps": 3, "num_train_epochs": 1}
    made = trainer(tmp_path, run, hub_dataset(), learning_rate=0.0, **options)
    for part in made.model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    made.train()
    assert made.model.seen == {}, "smoothing takes the labels out of what the model gets"
    batch = {name: torch.tensor([text[name] for text in texts()]) for name in ("input_ids", "attention_mask")}
    labels = torch.tensor([text["labels"] for text in texts()])
    with torch.no_grad():
        plain = functional.cross_entropy(made.model(**batch).logits, labels, reduction="none")
    np.testing.assert_allclose(recorded.curves()[:, 0], plain.numpy(), rtol=1e-4)
    assert protocol(run) == {
        "pass": "training", "loss": "cross-entropy from logits", "training_loss": "label smoothing 0.2",
    }  # fmt: skip


def test_a_loss_of_the_users_own(recorded, tmp_path) -> None:
    class Weighted(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # type: ignore[no-untyped-def]
            labels = inputs["labels"]
            outputs = model(**inputs)
            loss = functional.cross_entropy(outputs.logits, labels, weight=torch.tensor([1.0, 5.0, 9.0]))
            return (loss, outputs) if return_outputs else loss

    class Both(SondageTrainerMixin, Weighted):
        pass

    run = recorded.init(num_examples=N)
    made = trainer(tmp_path, run, hub_dataset(), kind=Both)
    made.train()
    check(recorded, made)
    assert str(protocol(run)["training_loss"]).endswith("Weighted")

    told = trainer(
        tmp_path, recorded.init(run="told", training_loss="weighted", num_examples=N), hub_dataset()
    )
    told.compute_loss_func = lambda outputs, labels, num_items_in_batch: outputs.logits.sum()
    assert "compute_loss_func" in _training_loss(told)
    told.compute_loss_func = None
    assert _training_loss(told) == "the model's own, not looked at"
    told.train()
    assert protocol(told._sondage.run)["training_loss"] == "weighted", "what init was told stays"


def test_evaluation_and_prediction_are_not_recorded(recorded, tmp_path) -> None:
    run = recorded.init(num_examples=N)
    made = trainer(tmp_path, run, hub_dataset(), num_train_epochs=1)
    made.train()
    made.evaluate(made.train_dataset)
    made.predict(made.train_dataset.remove_columns("labels"))
    assert len(recorded.parcels()) == 1


def test_a_training_that_goes_on_from_a_checkpoint(recorded, tmp_path) -> None:
    first = recorded.init(num_examples=N)
    begun = trainer(tmp_path, first, hub_dataset(), save_strategy="epoch")
    begun.train()
    before = recorded.curves()
    run = recorded.init(num_examples=N, resume=True)
    again = trainer(tmp_path, run, hub_dataset(), save_strategy="epoch", num_train_epochs=3)
    again.train(resume_from_checkpoint=True)
    assert recorded.curves().shape == (N, 3)
    np.testing.assert_array_equal(recorded.curves()[:, :2], before)


def test_the_users_own_error_comes_through(recorded, tmp_path) -> None:
    class Failing(transformers.Trainer):
        def compute_loss(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            raise RuntimeError("the user's own error")

    class Both(SondageTrainerMixin, Failing):
        pass

    with pytest.raises(RuntimeError, match="the user's own error"):
        trainer(tmp_path, recorded.init(num_examples=N), hub_dataset(), kind=Both).train()
    assert recorded.ended() == "failed"


def test_without_a_run_it_is_a_trainer_as_any_other(recorded, tmp_path) -> None:
    made = trainer(tmp_path, None, hub_dataset())
    made.train()
    assert ROW_KEY not in made.train_dataset.column_names
    assert not recorded.spool.exists()


@pytest.mark.parametrize("key", ["row", ROW_KEY])
@pytest.mark.parametrize("make", [hub_dataset, texts], ids=["datasets", "list"])
def test_rows_of_what_is_indexed_already_are_taken_over(make, key) -> None:
    part = [9, 3, 5]
    for indexed in (
        Indexed(Subset(make(), part), key=key),
        Indexed(
            make().select(part) if make is hub_dataset else [make()[row] for row in part], rows=part, key=key
        ),
        Subset(Indexed(make(), key=key), part),
    ):
        rowed = with_rows(indexed)
        assert [rowed[place][ROW_KEY] for place in range(3)] == part
        assert [rowed[place]["input_ids"][0] for place in range(3)] == part
        assert "row" not in rowed[0]


@pytest.mark.parametrize("key", ["row", ROW_KEY])
def test_planted_probes_are_recorded_in_their_own_rows(recorded, tmp_path, key) -> None:
    run = recorded.init(labels=[text["labels"] for text in texts()])
    suite = SuiteDefinition(
        "flips", generators=(Generator("flip", count=3), Generator("prototypical", count=3))
    )
    planted = plant(texts(), suite, run=run, key=key, input_key="input_ids")
    made = trainer(tmp_path, run, planted, num_train_epochs=1)
    made.train()
    seen = np.flatnonzero(np.isfinite(recorded.curves()[:, 0]))
    kept = np.setdiff1d(np.arange(N), planted.displaced)
    assert seen.tolist() == [*kept, N, N + 1, N + 2]
    for probe in planted.probes:
        assert made.model.seen[probe.source_row] == pytest.approx([recorded.curves()[probe.row, 0]], rel=1e-4)


def test_what_has_no_rows_is_refused() -> None:
    with pytest.raises(Unsupported, match="map-style"):
        with_rows(hub_dataset().to_iterable_dataset())


def test_a_collator_of_the_users_own_that_drops_rows(recorded, tmp_path) -> None:
    run = recorded.init(num_examples=N)
    made = trainer(tmp_path, run, texts())
    made.data_collator = transformers.default_data_collator
    made.train_dataset = texts()
    with pytest.raises(InvalidInput, match="sondage_collator"):
        made.train()


def test_the_collator_passes_rows_by() -> None:
    seen: list[Any] = []

    def base(features: list[Any]) -> dict[str, Any]:
        seen.extend(features)
        return {"x": torch.tensor([one["x"] for one in features])}

    collator = sondage_collator(base)
    batch = collator([{"x": 1, ROW_KEY: 7}, {"x": 2, ROW_KEY: 3}])
    assert batch[ROW_KEY].tolist() == [7, 3]
    assert seen == [{"x": 1}, {"x": 2}]
    assert ROW_KEY not in collator([{"x": 1}])
    assert sondage_collator(collator) is collator
