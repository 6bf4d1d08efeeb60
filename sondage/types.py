"""Array aliases, each with its shape. NumPy alone, so that the library imports without anything else."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

AnyArray: TypeAlias = npt.NDArray[Any]
"""Any shape, any dtype."""

CurveArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""[rows, epochs]: one channel; NaN where a row was not seen."""

PerRow: TypeAlias = npt.NDArray[np.float32]
"""[rows]: one number per row or example; NaN where there is none."""

Labels: TypeAlias = npt.NDArray[np.integer[Any]]
"""[rows]: class numbers from 0; −1 where there is none."""

Rows: TypeAlias = npt.NDArray[np.int64]
"""[n]: positions in a run, or indices of examples (the same below N)."""

Words: TypeAlias = npt.NDArray[np.str_]
"""[n]: category names, roles."""

Mask: TypeAlias = npt.NDArray[np.bool_]
"""[rows]: true where it holds."""

Probabilities: TypeAlias = npt.NDArray[np.float32]
"""[rows, categories]: rows sum to 1; NaN rows where there is none."""

Images: TypeAlias = npt.NDArray[np.uint8]
"""[n, height, width, channels]."""

Vectors: TypeAlias = npt.NDArray[np.float32]
"""[n, features]."""
