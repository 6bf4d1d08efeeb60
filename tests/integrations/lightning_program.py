"""Two processes that Lightning starts itself, each with a part of the run. Arguments: spool."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import sondage
from sondage.torch import Indexed
from sondage.torch.lightning import SondageCallback

N = 21


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        inputs, labels, _rows = batch
        logits = self.layer(inputs)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def main(spool: str) -> None:
    torch.set_num_threads(1)
    labels = torch.arange(N) % 3
    dataset = TensorDataset(torch.randn(N, 4) + labels[:, None], labels)
    begin = partial(sondage.init, dataset="tiny", run="first", labels=labels, mode="offline", spool=spool)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",
        callbacks=[SondageCallback(begin)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(Indexed(dataset), batch_size=4, shuffle=True))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1])
