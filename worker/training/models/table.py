"""② A multi-layer perceptron for table rows: numbers as they are, an embedding per categorical column."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from worker.data.inputs import InputSpec
from worker.training.models.vectors import perceptron

_LARGEST_EMBEDDING = 16


class TableMLP(nn.Module):
    """Two hidden layers of `width` on the numeric columns and the embeddings of the categorical ones.

    A column of k values gets min(16, (k + 1) // 2 + 1) dimensions. Code −1, missing, has its own embedding.
    """

    def __init__(self, spec: InputSpec, width: int, dropout: float) -> None:
        super().__init__()
        sizes = [min(_LARGEST_EMBEDDING, (k + 1) // 2 + 1) for k in spec.cardinalities]
        self.embeddings = nn.ModuleList(
            nn.Embedding(k + 1, size) for k, size in zip(spec.cardinalities, sizes, strict=True)
        )
        self.body = perceptron(spec.shape[0] + sum(sizes), spec.num_classes, width, dropout, num_hidden=2)

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        columns = [embed(codes[:, index].long() + 1) for index, embed in enumerate(self.embeddings)]
        logits: Tensor = self.body(torch.cat([numeric, *columns], dim=1))
        return logits
