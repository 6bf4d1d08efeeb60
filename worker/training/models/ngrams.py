"""② A bag of hashed words and word pairs for short texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.data.inputs import InputSpec

_BUCKETS = 1 << 16
_PAIR_FACTOR = 1_000_003  # odd and above the buckets: (a, b) and (b, a) fall into different ones


class NGrams(nn.Module):
    """Mean of the embeddings of all words and pairs of neighbouring words, then one layer.

    Words and pairs share 65,536 buckets. A text without words gets zeros. The idea is that of fastText
    (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification").
    """

    def __init__(self, spec: InputSpec, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(_BUCKETS, width, mode="sum")
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, spec.num_classes))

    def forward(self, tokens: Tensor, starts: Tensor) -> Tensor:
        """Logits of texts laid end to end: tokens int32 (total,), starts int64 (B,)."""
        lengths = torch.diff(starts, append=starts.new_full((1,), len(tokens)))
        tokens = tokens.long()
        words = self.embedding(tokens % _BUCKETS, starts)
        before = functional.pad(tokens, (1, 0))[:-1]
        pairs = self.embedding(
            (before * _PAIR_FACTOR + tokens) % _BUCKETS,
            starts,
            per_sample_weights=_inside(tokens, starts, lengths),
        )
        count = (2 * lengths - 1).clamp(min=1).unsqueeze(1)
        logits: Tensor = self.head((words + pairs) / count)
        return logits


def _inside(tokens: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """1 where a token follows another of the same text, 0 where it opens one."""
    inside = torch.ones(len(tokens) + 1, device=tokens.device)
    # Empty texts share their start with the next text, or point past the end: hence one place more.
    return inside.index_fill_(0, starts, 0.0)[:-1]
