"""Short texts with PyTorch Lightning: a bag of embeddings, recorded by a callback.

python examples/lightning_text.py sst2.parquet --epochs 10
"""

from __future__ import annotations

import argparse

import lightning.pytorch as pl
import torch
from texts import VOCABULARY, read_texts, tokens_of
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

import sondage
from sondage.torch import Indexed
from sondage.torch.lightning import SondageCallback


class BagOfWords(pl.LightningModule):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(VOCABULARY, 64, padding_idx=0)
        self.head = nn.Linear(64, num_classes)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        tokens, labels, _rows = batch  # the row of each example is there, and need not be used
        logits = self.head(self.embed(tokens))
        loss = functional.cross_entropy(logits, labels, label_smoothing=0.05)
        return {"loss": loss, "logits": logits}  # was: return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main(arguments: list[str] | None = None) -> sondage.Run:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--limit", type=int, help="use the first examples only")
    parser.add_argument("--run", default=None)
    parser.add_argument("--mode", default="online", choices=["online", "offline", "disabled"])
    asked = parser.parse_args(arguments)

    pl.seed_everything(0, verbose=False)
    texts, labels = read_texts(asked.file, asked.limit)
    padded = nn.utils.rnn.pad_sequence([torch.tensor(tokens_of(text)) for text in texts], batch_first=True)
    dataset = torch.utils.data.TensorDataset(padded, torch.from_numpy(labels))

    run = sondage.init(
        dataset="sst2-lightning",
        labels=labels,
        run=asked.run,
        num_epochs=asked.epochs,
        mode=asked.mode,
        training_loss="cross-entropy, smoothed by 0.05",
    )
    trainer = pl.Trainer(
        max_epochs=asked.epochs,
        callbacks=[SondageCallback(run)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="auto",
        devices=1,
    )
    trainer.fit(BagOfWords(int(labels.max()) + 1), DataLoader(Indexed(dataset), batch_size=64, shuffle=True))
    return run


if __name__ == "__main__":
    main()
