"""A training on several processes, as `torchrun` starts it: a real model under DistributedDataParallel on gloo."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler, TensorDataset

import sondage
from sondage.torch import Indexed

NUM_EXAMPLES = 7
EPOCHS = 3
LONG_SECONDS = 100
"""What a loaded machine may take: after it an epoch is closed without the ranks that are late."""


def main(url: str, spool: str, dies: str, resume: str, drawn: str = "") -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    labels = torch.arange(NUM_EXAMPLES) % 3
    data = Indexed(TensorDataset(torch.arange(float(NUM_EXAMPLES)).reshape(-1, 1), labels))
    sampler: Any = DistributedSampler(data, shuffle=True, seed=1)  # pads 7 to 8: one example is seen twice
    model = DistributedDataParallel(nn.Linear(1, 3))
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    run = sondage.init(
        dataset="toy", run="ranks", labels=labels, url=url, spool=spool, channels=("loss", "rank_of"),
        resume=resume == "resume",
    )  # fmt: skip
    print("next", rank, run.next_epoch, flush=True)
    for epoch in range(run.next_epoch, EPOCHS):
        sampler.set_epoch(epoch)
        if dies.endswith(f":{epoch}"):
            # torchrun ends the other one at once, which may not have closed or written the epoch before by then.
            assert run._parts.outbox.wait_until_spooled(LONG_SECONDS)
            dist.barrier()
        if dies == f"{rank}:{epoch}":
            os.kill(os.getpid(), signal.SIGKILL)
        for inputs, given, rows in DataLoader(data, batch_size=2, sampler=sampler):
            loss = nn.functional.cross_entropy(model(inputs), given, reduction="none")
            run.log(rows=rows, loss=loss, rank_of=torch.full((len(rows),), float(rank)))
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
        run.end_epoch(epoch=epoch)
    run.finish(timeout_seconds=LONG_SECONDS)
    if drawn:
        draw(model, data, url=url, spool=spool, labels=labels, drawn=Path(drawn))
    dist.destroy_process_group()


def draw(model: nn.Module, data: Any, *, url: str, spool: str, labels: torch.Tensor, drawn: Path) -> None:
    """A second run, with replacement: an example is seen several times an epoch, by both. What each saw is kept."""
    rank, seen = dist.get_rank(), []
    run = sondage.init(
        dataset="toy", run="drawn", labels=labels, url=url, spool=spool, channels=("loss", "count")
    )
    for epoch in range(2):
        generator = torch.Generator().manual_seed(10 * epoch + rank)
        sampler = RandomSampler(data, replacement=True, num_samples=12 + 6 * rank, generator=generator)
        for inputs, given, rows in DataLoader(data, batch_size=4 + 2 * rank, sampler=sampler):
            loss = nn.functional.cross_entropy(model(inputs), given, reduction="none")
            run.log(rows=rows, loss=loss)
            loss.mean().backward()  # gradients add up: no other step would change less
            with torch.no_grad():
                for weight in model.parameters():
                    weight -= 0.05 * weight.grad if weight.grad is not None else 0
            seen += [(epoch, row, value) for row, value in zip(rows.tolist(), loss.tolist(), strict=True)]
        run.end_epoch()
    run.finish(timeout_seconds=LONG_SECONDS)
    np.save(drawn / f"rank{rank}.npy", np.array(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
