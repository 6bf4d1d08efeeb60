"""A model of a user's own for the tests: a training waits in it, in the middle of an epoch, for as long as a test says.

The file `gate` in the data folder holds a number: the forward pass in training mode after which the process waits,
until the file is gone. It says so by making the file `at_gate`.
"""

from __future__ import annotations

import math
import os
import subprocess
import time
from pathlib import Path

from torch import Tensor, nn

from worker.data.inputs import InputSpec


class Slow(nn.Module):
    def __init__(self, spec: InputSpec, data_dir: Path) -> None:
        super().__init__()
        channels, height, width = spec.shape
        self.head = nn.Linear(channels * height * width, spec.num_classes)
        self._gate, self._at_gate = data_dir / "gate", data_dir / "at_gate"
        self._passes = 0

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self._passes += 1
            self._wait_at_gate()
        logits: Tensor = self.head(images.flatten(1))
        return logits

    def _wait_at_gate(self) -> None:
        while self._passes > self._last_free_pass():
            self._at_gate.touch()
            time.sleep(0.01)

    def _last_free_pass(self) -> float:
        try:
            return int(self._gate.read_text())
        except FileNotFoundError:  # the test has just opened it, or there is none
            return math.inf


def build(spec: InputSpec) -> nn.Module:
    return Slow(spec, Path(os.environ["SONDAGE_DATA_DIR"]))


def with_a_helper(spec: InputSpec) -> nn.Module:
    """Starts a process of its own, which writes its number to the file `helper`."""
    helper = subprocess.Popen(["sleep", "600"])
    Path(os.environ["SONDAGE_DATA_DIR"], "helper").write_text(str(helper.pid))
    return build(spec)


def die(spec: InputSpec) -> nn.Module:
    """Ends its process as the kernel does when memory is short."""
    os.kill(os.getpid(), 9)
    raise AssertionError("still there")


def leave(spec: InputSpec) -> nn.Module:
    """Ends its process without a word, as if all were done."""
    os._exit(0)


def break_down(spec: InputSpec) -> nn.Module:
    raise ZeroDivisionError("a fault of the user's own")
