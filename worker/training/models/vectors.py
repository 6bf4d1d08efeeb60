"""② Heads on vectors: linear, and a multi-layer perceptron."""

from __future__ import annotations

from torch import nn

from worker.data.inputs import InputSpec


def linear(spec: InputSpec, width: int, dropout: float) -> nn.Module:
    """Multinomial logistic regression; `width` has no meaning here."""
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(spec.shape[0], spec.num_classes))


def mlp(spec: InputSpec, width: int, dropout: float) -> nn.Module:
    """One hidden layer of `width` units."""
    return perceptron(spec.shape[0], spec.num_classes, width, dropout, num_hidden=1)


def perceptron(
    num_features: int, num_classes: int, width: int, dropout: float, num_hidden: int
) -> nn.Sequential:
    """Hidden layers, each normalised over the batch and rectified, and one output layer."""
    layers: list[nn.Module] = []
    for _ in range(num_hidden):
        layers += [nn.Linear(num_features, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
        num_features = width
    return nn.Sequential(*layers, nn.Linear(num_features, num_classes))
