"""What the wait policy of a training's threads costs: alone on the machine, and beside as many busy processes as cores.

    python -m benchmarks.threads [--quick] [--check]

Trains the small convnet on random 32 × 32 pictures in a process of its own per case, in turn, and gives the median
examples a second of each. Bar: beside busy processes the passive policy, which the worker sets, is at least as fast.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

POLICIES = ("ACTIVE", "PASSIVE")


def main() -> int:
    arguments = _arguments()
    if arguments.train:
        return _train(arguments.train)
    seconds, rounds = (2, 1) if arguments.quick else (5, 3)
    figures = {}
    for place in ("alone", "beside"):
        busy = _busy() if place == "beside" else []
        rates: dict[str, list[float]] = {policy: [] for policy in POLICIES}
        for _ in range(rounds):
            for policy in POLICIES:
                rates[policy].append(_rate(policy, seconds))
        for process in busy:
            process.kill()
            process.wait()
        figures[place] = {policy.lower(): statistics.median(found) for policy, found in rates.items()}
        print(place, "  ".join(f"{name} {rate:,.0f} examples/s" for name, rate in figures[place].items()))
    missed = figures["beside"]["passive"] < figures["beside"]["active"]
    print(json.dumps({"benchmark": "threads", "cores": os.cpu_count(), "figures": figures, "missed": missed}))
    return 1 if arguments.check and missed else 0


def _busy() -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]


def _rate(policy: str, seconds: int) -> float:
    command = [sys.executable, "-m", "benchmarks.threads", "--train", str(seconds)]
    environment = os.environ | {"OMP_WAIT_POLICY": policy}
    environment.pop("OMP_NUM_THREADS", None)
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def _train(seconds: int) -> int:
    import torch
    from torch.nn.functional import cross_entropy

    from worker.data.inputs import InputSpec
    from worker.training.models.convnet import ConvNet

    torch.manual_seed(0)
    model = ConvNet(InputSpec("image", 10, (3, 32, 32)), width=32, dropout=0.0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    start, num = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        optimiser.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimiser.step()
        num += len(images)
    print(num / (time.perf_counter() - start))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter, once each")
    parser.add_argument("--check", action="store_true", help="exit 1 when the bar is missed")
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
