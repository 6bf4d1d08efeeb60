"""① Random shifts and flips of a batch of images, on its device; one treatment for examples and probes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sondage.errors import InvalidInput


def augment(images: Tensor, how: str, generator: torch.Generator) -> Tensor:
    """Change each image of a batch by its own draw.

    Parameters
    ----------
    images : Tensor, shape (B, H, W, C)
    how : {"none", "shift", "flip", "flip_shift"}
        `shift` moves by up to an eighth of the side in each direction (4 of 32 pixels) and fills with 0;
        `flip` mirrors left and right, one time in two.
    generator : torch.Generator
        On the device of the images.
    """
    if how == "none":
        return images
    if how not in ("shift", "flip", "flip_shift"):
        raise InvalidInput(f"augment is {how!r}: allowed are none, shift, flip, flip_shift.", field="augment")
    if "flip" in how:
        images = random_flip(images, generator)
    return random_shift(images, generator) if "shift" in how else images


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left and right with probability one half."""
    coin = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(coin.view(-1, 1, 1, 1), images.flip(2), images)


def random_shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image by up to an eighth of each side and fill with 0."""
    num, height, width, _ = images.shape
    reach_y, reach_x = max(1, round(height / 8)), max(1, round(width / 8))
    padded = functional.pad(images, (0, 0, reach_x, reach_x, reach_y, reach_y))
    ys = _window(num, reach_y, height, generator, images.device)
    xs = _window(num, reach_x, width, generator, images.device)
    which = torch.arange(num, device=images.device).view(-1, 1, 1)
    return padded[which, ys.unsqueeze(2), xs.unsqueeze(1)]


def _window(num: int, reach: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Per image, the positions of its window along one axis of the padded image, shape (num, size)."""
    start = torch.randint(0, 2 * reach + 1, (num, 1), generator=generator, device=device)
    return start + torch.arange(size, device=device)
