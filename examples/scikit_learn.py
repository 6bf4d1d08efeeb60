"""Handwritten digits with scikit-learn: a linear model by `partial_fit`, or boosted trees by their stages.

python examples/scikit_learn.py --epochs 20
python examples/scikit_learn.py --boosted
"""

from __future__ import annotations

import argparse

from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import SGDClassifier

import sondage
from sondage.sklearn import PROTOCOL, class_numbers, record_partial_fit, record_staged


def main(arguments: list[str] | None = None) -> sondage.Run:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--limit", type=int, help="use the first examples only")
    parser.add_argument("--boosted", action="store_true")
    parser.add_argument("--run", default=None)
    parser.add_argument("--mode", default="online", choices=["online", "offline", "disabled"])
    asked = parser.parse_args(arguments)

    X, y = load_digits(return_X_y=True)
    X, y = X[: asked.limit] / 16, y[: asked.limit]
    labels, classes = class_numbers(y)

    run = sondage.init(
        dataset="digits-sklearn",
        labels=labels,
        class_names=[str(name) for name in classes],
        run=asked.run,
        num_epochs=asked.epochs,
        mode=asked.mode,
        protocol=PROTOCOL,
    )
    if asked.boosted:
        trees = HistGradientBoostingClassifier(max_iter=asked.epochs, max_depth=3, early_stopping=False)
        record_staged(trees.fit(X, y), X, y, run)
    else:
        record_partial_fit(SGDClassifier(loss="log_loss"), X, y, run, num_epochs=asked.epochs, batch_size=64)
    run.finish()
    return run


if __name__ == "__main__":
    main()
