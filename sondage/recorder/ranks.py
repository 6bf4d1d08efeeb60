"""③ Which of several processes this is."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sondage.bounds import MAX_RANKS
from sondage.errors import InvalidInput

_OF_THE_JOB = (
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_JOB_ID",
)
_LOCAL = (None, "", "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Ranks:
    rank: int
    world_size: int
    session: str
    """A word of this training, the same from all its ranks and no other training's."""


def ranks(
    rank: int | None = None, world_size: int | None = None, environment: Mapping[str, str] | None = None
) -> Ranks:
    """As given; else as torch.distributed has it, once initialised; else RANK and WORLD_SIZE; else one process.

    Raises
    ------
    InvalidInput
        One is given without the other, or the rank is out of range.
    """
    environment = os.environ if environment is None else environment
    if (rank is None) != (world_size is None):
        raise InvalidInput("rank and world_size go together: give both or none.", field="rank")
    if rank is None or world_size is None:
        rank, world_size = _found(environment)
    if world_size > MAX_RANKS:
        raise InvalidInput(f"world_size is {world_size}: a run has at most {MAX_RANKS}.", field="world_size")
    if not 0 <= rank < world_size:
        raise InvalidInput(f"rank {rank} is not within 0…{world_size - 1}.", field="rank")
    return Ranks(rank, world_size, _session(world_size, environment))


def _found(environment: Mapping[str, str]) -> tuple[int, int]:
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    try:
        return int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
    except ValueError:
        raise InvalidInput("RANK and WORLD_SIZE in the environment are no numbers.", field="rank") from None


def _session(world_size: int, environment: Mapping[str, str]) -> str:
    if world_size == 1:
        return uuid.uuid4().hex
    words = [environment.get(name, "") for name in _OF_THE_JOB]
    here = environment.get("LOCAL_WORLD_SIZE") == str(world_size)
    if here or environment.get("MASTER_ADDR") in _LOCAL:
        words.append(str(os.getppid()))  # the launcher: the same for all ranks of one machine
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]
