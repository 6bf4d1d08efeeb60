"""A ResNet-20 on CIFAR-10, written as anyone would, with four lines of Sondage (marked).

    python examples/plain_pytorch.py cifar10_train.parquet --epochs 30

The Parquet file holds `image` (struct of bytes) and `label`, as Hugging Face writes it.
"""

from __future__ import annotations

import argparse
import io

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import sondage
from sondage.torch import Indexed, plant


class Pictures(Dataset):
    """Pictures as uint8 arrays (height, width, channels), with their labels."""

    def __init__(self, file: str, limit: int | None) -> None:
        table = pq.read_table(file, columns=["image", "label"]).slice(0, limit)
        self.targets = np.array(table["label"])
        self.pictures = [np.asarray(Image.open(io.BytesIO(one["bytes"].as_py()))) for one in table["image"]]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.pictures[index], int(self.targets[index])


def augment(picture: np.ndarray) -> Tensor:
    """Normalise, shift by up to four pixels, mirror every other time."""
    image = (torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255 - 0.47) / 0.25
    top, left = torch.randint(9, (2,)).tolist()
    image = functional.pad(image, (4, 4, 4, 4))[:, top : top + 32, left : left + 32]
    return image.flip(2) if torch.rand(()) < 0.5 else image


class Transformed(Dataset):
    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture, label = self.pictures[index]
        return augment(picture), label


class Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.short = nn.Identity() if before == width else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norms[1](self.second(self.norms[0](self.first(x)).relu()))
        return (out + self.short(x)).relu()


def resnet20(num_classes: int) -> nn.Module:
    """He et al. 2015, section 4.2: three stages of three blocks, 16, 32 and 64 channels."""
    blocks = [
        Block(before if number == 0 else width, width, 2 if number == 0 and before != width else 1)
        for before, width in ((16, 16), (16, 32), (32, 64))
        for number in range(3)
    ]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))


def main(arguments: list[str] | None = None) -> sondage.Run:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--limit", type=int, help="use the first examples only")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--plant", action="store_true", help="plant the default suite of probes")
    parser.add_argument("--run", default=None)
    parser.add_argument("--mode", default="online", choices=["online", "offline", "disabled"])
    asked = parser.parse_args(arguments)

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pictures = Pictures(asked.file, asked.limit)
    num_classes = int(pictures.targets.max()) + 1
    model = resnet20(num_classes).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)

    run = sondage.init(  # 1
        dataset="cifar10", labels=pictures.targets, run=asked.run, num_epochs=asked.epochs, mode=asked.mode
    )
    dataset = (
        plant(pictures, run=run, transform=augment) if asked.plant else Indexed(Transformed(pictures))
    )  # 2
    loader = DataLoader(dataset, batch_size=asked.batch_size, shuffle=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=asked.epochs * len(loader))
    for epoch in range(asked.epochs):
        for images, labels, rows in loader:
            labels = labels.to(device)
            logits = model(images.to(device))
            loss = functional.cross_entropy(logits, labels, reduction="none")
            run.log(rows=rows, loss=loss, logits=logits, labels=labels)  # 3
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            schedule.step()
        run.end_epoch()  # 4
        print(f"epoch {epoch}: loss of the last batch {loss.mean().item():.3f}")
    run.finish()
    return run


if __name__ == "__main__":
    main()
