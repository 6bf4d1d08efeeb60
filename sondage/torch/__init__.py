"""③ Recording from a PyTorch training. The only part of the library that imports torch."""

from sondage.torch.buffer import EpochBuffer
from sondage.torch.indexed import Batch, Indexed, collate
from sondage.torch.looking import look
from sondage.torch.losses import margin, per_example_loss
from sondage.torch.planting import Planted, plant

__all__ = [
    "Batch",
    "EpochBuffer",
    "Indexed",
    "Planted",
    "collate",
    "look",
    "margin",
    "per_example_loss",
    "plant",
]
