"""A training on several processes, as `torchrun` starts it: a real model under DistributedDataParallel on gloo."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import sondage
from sondage.torch import Indexed

NUM_EXAMPLES = 7
EPOCHS = 3


def main(url: str, spool: str, dies: str, resume: str) -> None:
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
        if dies == f"{rank}:{epoch}":
            run._parts.outbox.wait_until_spooled(10)
            os.kill(os.getpid(), signal.SIGKILL)
        for inputs, given, rows in DataLoader(data, batch_size=2, sampler=sampler):
            loss = nn.functional.cross_entropy(model(inputs), given, reduction="none")
            run.log(rows=rows, loss=loss, rank_of=torch.full((len(rows),), float(rank)))
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
        run.end_epoch(epoch=epoch)
    run.finish(timeout_seconds=20)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
