"""Short texts with the Hugging Face Trainer, recorded by a mixin.

python examples/transformers_text.py sst2.parquet --epochs 5                        # a small BERT from nothing
python examples/transformers_text.py sst2.parquet --epochs 3 --model distilbert-base-uncased
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import datasets
import transformers
from texts import PAD, VOCABULARY, read_texts, tokens_of

import sondage
from sondage.torch.transformers import SondageTrainerMixin


class RecordedTrainer(SondageTrainerMixin, transformers.Trainer):
    pass


def small_bert(num_labels: int) -> Any:
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        pad_token_id=PAD,
        num_labels=num_labels,
    )
    return transformers.BertForSequenceClassification(config)


class Padded:
    """The collator of the small model: pads with zeros."""

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        tokens = pad_sequence([torch.tensor(one["input_ids"]) for one in features], batch_first=True)
        labels = torch.tensor([one["labels"] for one in features])
        return {"input_ids": tokens, "attention_mask": (tokens != PAD).long(), "labels": labels}


def main(arguments: list[str] | None = None) -> sondage.Run:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--limit", type=int, help="use the first examples only")
    parser.add_argument("--model", help="a pretrained one, by name or folder")
    parser.add_argument("--run", default=None)
    parser.add_argument("--mode", default="online", choices=["online", "offline", "disabled"])
    asked = parser.parse_args(arguments)

    transformers.set_seed(0)
    texts, labels = read_texts(asked.file, asked.limit)
    num_labels = int(labels.max()) + 1
    if asked.model is None:
        model, collator = small_bert(num_labels), Padded()
        tokens = [tokens_of(text) for text in texts]
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(asked.model)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            asked.model, num_labels=num_labels
        )
        collator = transformers.DataCollatorWithPadding(tokenizer)
        tokens = tokenizer(texts, truncation=True, max_length=64)["input_ids"]
    dataset = datasets.Dataset.from_dict({"input_ids": tokens, "labels": labels})

    run = sondage.init(
        dataset="sst2-transformers", labels=labels, run=asked.run, num_epochs=asked.epochs, mode=asked.mode
    )
    with tempfile.TemporaryDirectory() as folder:
        args = transformers.TrainingArguments(
            output_dir=folder,
            num_train_epochs=asked.epochs,
            per_device_train_batch_size=32,
            learning_rate=5e-4 if asked.model is None else 3e-5,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = RecordedTrainer(
            model=model, args=args, train_dataset=dataset, data_collator=collator, sondage_run=run
        )
        trainer.train()
    return run


if __name__ == "__main__":
    main()
