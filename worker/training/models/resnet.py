"""② ResNet-20 for small images of any size and number of channels.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2 (n = 3, shortcuts of option
A: subsample and pad with zero channels, so that shortcuts have no parameters).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from worker.data.inputs import InputSpec

_BLOCKS_PER_STAGE = 3


class ResNet20(nn.Module):
    """A 3×3 convolution, three stages of three residual blocks (1, 2, 4 times `width`), a mean, one layer."""

    def __init__(self, spec: InputSpec, width: int, dropout: float) -> None:
        super().__init__()
        stem = nn.Conv2d(spec.shape[0], width, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        channels = width
        for stage in range(3):
            for index in range(_BLOCKS_PER_STAGE):
                stride = 2 if stage and index == 0 else 1
                blocks.append(_Residual(channels, width << stage, stride))
                channels = width << stage
        self.features = nn.Sequential(stem, nn.BatchNorm2d(width), nn.ReLU(inplace=True), *blocks)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, spec.num_classes))
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits


class _Residual(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.more = width - channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.stride != 1 or self.more:
            half = self.more // 2
            subsampled = x[:, :, :: self.stride, :: self.stride]
            shortcut = functional.pad(subsampled, (0, 0, 0, 0, half, self.more - half))
        return functional.relu(self.body(x) + shortcut)


def _initialise(module: nn.Module) -> None:
    """He et al. 2015, as the paper trains with: normal, by the fan out, for rectifiers."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
