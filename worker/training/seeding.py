"""② Everything random in a training, as a function of the seed and the epoch.

No generator's state is carried from one epoch to the next: an epoch can be run again, by another process,
and draws the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sondage.errors import InvalidInput

_PURPOSES = {"model": 1, "dropout": 2, "augment": 3, "statistics": 4, "look": 5}


def permutation(seed: int, epoch: int, num: int) -> np.ndarray[Any, Any]:
    """The order of `num` things in one epoch, int64: Philox keyed by seed and epoch."""
    key = np.array([check_seed(seed), epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(num)


def derived_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """A seed for one purpose in one epoch, unrelated to those of other purposes and epochs."""
    sequence = np.random.SeedSequence([check_seed(seed), _PURPOSES[purpose], epoch])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, purpose: str, epoch: int, device: torch.device) -> torch.Generator:
    """A torch generator on the device for one purpose in one epoch."""
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose, epoch))


def check_seed(seed: int) -> int:
    """The seed itself, if it is one."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InvalidInput(f"seed is {seed!r}: allowed is a whole number from 0 to 2⁶³ − 1.", field="seed")
    return seed
