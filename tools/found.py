"""How many of the wrong labels that were planted while registering stand at the top of a tagging's list.

    python -m tools.found [TAGGING]

Reads the truth that was kept aside in the data folder, so it runs on the server's machine.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sondage.client import Client
from sondage.errors import SondageError
from sondage.scores.ranking import average_precision, precision_at, recall_at, worst_first
from sondage.types import Mask, Rows
from sondage.wire import Tagging
from store.settings import StoreSettings
from worker.data.noise import read_truth

COMPARED = ("mean_loss", "aum")
NAMES = {
    "suspicion": "suspicion (Sondage)",
    "mean_loss": "mean loss",
    "aum": "margin mean (AUM)",
    "random": "random",
}


@dataclass(frozen=True)
class Found:
    """`precision` among the first `num_planted` of the list, `recall` among twice as many; all 0…1."""

    precision: float
    recall: float
    average_precision: float


def found_by_method(client: Client, tagging: Tagging, data_dir: Path) -> tuple[int, int, dict[str, Found]]:
    """Wrong labels planted, examples ranked, and what each ranking found of them."""
    truth = read_truth(data_dir / "datasets" / str(tagging.dataset_id))
    listed = np.array([tag.index for tag in client.tags(tagging.id)], dtype=np.int64)
    wrong = np.zeros(int(listed.max()) + 1, dtype=bool)
    wrong[truth.rows[truth.rows < len(wrong)]] = True
    orders = {"suspicion": listed} | _orders_by_score(client, tagging, listed)
    num = int(wrong.sum())
    found = {method: _found(order, wrong, num) for method, order in orders.items()}
    share = num / len(listed)
    found["random"] = Found(share, min(1.0, 2 * share), share)
    return num, len(listed), found


def _orders_by_score(client: Client, tagging: Tagging, listed: Rows) -> dict[str, Rows]:
    orders = {}
    for score in client.scores.list(dataset=tagging.dataset_id):
        if score.method in COMPARED and sorted(score.run_ids) == sorted(tagging.run_ids):
            order = worst_first(client.scores.values(score), score.bad_end)
            orders[score.method] = order[np.isin(order, listed)]
    return orders


def _found(order: Rows, wrong: Mask, num: int) -> Found:
    return Found(
        precision_at(order, wrong, num), recall_at(order, wrong, 2 * num), average_precision(order, wrong)
    )


def table(num: int, ranked: int, found: dict[str, Found]) -> str:
    lines = [
        f"{num} wrong labels were planted among {ranked:,} examples.",
        f"{'':22} precision at {num:<6} recall at {2 * num:<6} average precision",
    ]
    for method, name in NAMES.items():
        if method in found:
            row = found[method]
            lines.append(f"{name:22} {row.precision:<20.3f} {row.recall:<16.3f} {row.average_precision:.3f}")
    return "\n".join(lines)


def main() -> int:
    try:
        with Client() as client:
            reference: str = sys.argv[1] if len(sys.argv) > 1 else "latest"
            tagging = client.taggings.get(int(reference) if reference.isdigit() else reference)
            num, ranked, found = found_by_method(client, tagging, StoreSettings().data_dir)
    except SondageError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    print(table(num, ranked, found))
    print(
        json.dumps({"planted": num, "ranked": ranked, **{name: asdict(row) for name, row in found.items()}})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
