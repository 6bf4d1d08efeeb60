"""③ Recording from a PyTorch training. The only part of the library that imports torch."""

from sondage.torch.buffer import EpochBuffer
from sondage.torch.indexed import Batch, Indexed, collate
from sondage.torch.losses import margin, per_example_loss

__all__ = ["Batch", "EpochBuffer", "Indexed", "collate", "margin", "per_example_loss"]
