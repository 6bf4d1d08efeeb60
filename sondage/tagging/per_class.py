"""⑤ Per given label, how often each tag is given and how many labels are suspected; and what for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sondage.tagging.pairs import goes_one_way
from sondage.tagging.shares import interval
from sondage.tagging.suggest import NO_LABEL
from sondage.types import AnyArray, Labels, PerRow, Rows

SUSPECT_ABOVE = 0.5
"""A suspect: more speaks against its label than for it."""
WORST, BEST = 100, 20
"""Of the classes; the report must stay small where there are tens of thousands."""
MOST_PAIRS = 20


def per_class(
    labels: Labels,
    tag: AnyArray,
    suspicion: PerRow,
    suggested: Rows,
    names: Sequence[str],
    class_names: Sequence[str] = (),
) -> dict[str, Any]:
    """Rates per given label, and the most frequent pairs among suspects. JSON-able.

    Parameters
    ----------
    labels : int array, shape (N,)
        Given labels, 0 and above.
    tag : int array, shape (N,)
        Number of the category; −1 is `unsure`.
    suspicion : float array, shape (N,)
        Examples without one are not counted.
    suggested : int64 array, shape (N,)
        −1 where there is none.
    names : sequence of str
        Of the categories.
    class_names : sequence of str
        By label; the number where there is none.

    Returns
    -------
    dict
        `classes`: the worst first, by the lower end of a 90 % interval of the share of suspects, so that a class of two
        examples does not come before a bad one of two hundred; at most the worst 100 (`num_worst`) and the best 20,
        with `num_left_out` between them.
        `pairs`: given label and suggested label of suspects with their number, and that of the reverse; `one_way`
        where it is far more frequent than that, as the tagger `evidence` has it.
    """
    counted = np.flatnonzero(np.isfinite(suspicion))
    given = np.asarray(labels)[counted].astype(np.int64)
    suspect = suspicion[counted] > SUSPECT_ABOVE
    classes, place = np.unique(given, return_inverse=True)
    tags = _tags_by_class(tag[counted], place, len(classes), len(names))
    num_suspects = np.bincount(place, suspect, minlength=len(classes)).astype(np.int64)
    num = tags.sum(axis=1)
    low = interval(num_suspects, num)[0]
    order = np.lexsort((classes, -num_suspects / np.maximum(num, 1), -low))
    shown = order if len(order) <= WORST + BEST else np.concatenate([order[:WORST], order[-BEST:]])
    all_names = [*names, "unsure"]
    pairs, num_pairs = _pairs(given[suspect], suggested[counted][suspect], class_names)
    return {
        "suspect_above": SUSPECT_ABOVE,
        "num_examples": len(counted),
        "num_suspects": int(suspect.sum()),
        "num_classes": len(classes),
        "num_left_out": len(order) - len(shown),
        "num_worst": len(order) if len(shown) == len(order) else WORST,
        "classes": [
            {
                "label": int(classes[i]),
                "name": class_name(int(classes[i]), class_names),
                "num_examples": int(num[i]),
                "num_suspects": int(num_suspects[i]),
                "share_suspects": round(float(num_suspects[i] / num[i]), 5),
                "tags": {
                    name: round(float(tags[i, code] / num[i]), 5)
                    for code, name in enumerate(all_names)
                    if name != "unsure" or tags[:, code].any()
                },
            }
            for i in shown.tolist()
        ],
        "num_pairs": num_pairs,
        "pairs": pairs,
        "num_without_suggestion": int((suggested[counted][suspect] == NO_LABEL).sum()),
    }


def class_name(label: int, class_names: Sequence[str]) -> str:
    """The class's name; its number where there is none."""
    return str(class_names[label]) if 0 <= label < len(class_names) else str(label)


def _tags_by_class(tag: AnyArray, place: AnyArray, num_classes: int, num_categories: int) -> AnyArray:
    """Numbers of examples, shape (classes, categories + 1); the last column is `unsure`."""
    width = num_categories + 1
    code = np.where(tag < 0, num_categories, tag).astype(np.int64)
    return np.bincount(place * width + code, minlength=num_classes * width).reshape(num_classes, width)


def _pairs(given: Labels, suggested: Rows, class_names: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """The most frequent pairs, of equally frequent ones the lowest labels first, and how many there are."""
    there = suggested != NO_LABEL
    if not there.any():
        return [], 0
    given, suggested = given[there], suggested[there]
    width = int(max(given.max(), suggested.max())) + 1
    codes, counts = np.unique(given * width + suggested, return_counts=True)
    number = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    order = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    pairs = []
    for code in codes[order].tolist():
        label, other = divmod(code, width)
        num, num_reverse = number[code], number.get(other * width + label, 0)
        pairs.append(
            {
                "given": label,
                "given_name": class_name(label, class_names),
                "suggested": other,
                "suggested_name": class_name(other, class_names),
                "num": num,
                "num_reverse": num_reverse,
                "one_way": goes_one_way(num, num_reverse),
            }
        )
    return pairs, len(codes)
