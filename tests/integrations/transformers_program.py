"""A Trainer under torchrun, each process with a part of the run. Arguments: spool, folder of outputs."""

from __future__ import annotations

import sys
import warnings

import torch
import transformers
from datasets import Dataset

import sondage
from sondage.torch.transformers import SondageTrainerMixin

N = 21


class Recorded(SondageTrainerMixin, transformers.Trainer):
    pass


def main(spool: str, folder: str) -> None:
    torch.set_num_threads(1)
    labels = [row % 3 for row in range(N)]
    dataset = Dataset.from_dict({"input_ids": [[row, 1] for row in range(N)], "labels": labels})
    config = transformers.BertConfig(
        vocab_size=N,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        num_labels=3,
    )
    args = transformers.TrainingArguments(
        output_dir=folder,
        num_train_epochs=2,
        per_device_train_batch_size=4,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    run = sondage.init(dataset="tiny", run="first", labels=labels, mode="offline", spool=spool)
    model = transformers.BertForSequenceClassification(config)
    Recorded(model=model, args=args, train_dataset=dataset, sondage_run=run).train()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2])
