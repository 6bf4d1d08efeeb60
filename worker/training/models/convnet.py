"""② A small convolutional network for images of any size from 8 pixels and any number of channels."""

from __future__ import annotations

from torch import Tensor, nn

from worker.data.inputs import InputSpec


class ConvNet(nn.Module):
    """Three 3×3 convolutions of 1, 2 and 4 times `width`, each normalised; a pool between; a mean at the end.

    The mean over positions takes any size, and (unlike adaptive pooling) its gradient is deterministic
    on a GPU.
    """

    def __init__(self, spec: InputSpec, width: int, dropout: float) -> None:
        super().__init__()
        channels = spec.shape[0]
        self.features = nn.Sequential(
            *_block(channels, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 4 * width),
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * width, spec.num_classes))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits


def _block(channels: int, width: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)
