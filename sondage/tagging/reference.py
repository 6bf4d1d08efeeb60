"""⑤ The reference tagger of the paper: a vote of the k nearest probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, CurveArray, Probabilities, Rows, Words

REFERENCE_K = 20
_CHUNK_ROWS = 16_384
_NOT_FITTED = "The tagger is not fitted: call fit(curves, categories) first."


class ReferenceTagger:
    """k nearest neighbours among the probes, by the Euclidean distance of whole raw curves, one vote each.

    The probability of a category is its share of the k votes, so it comes in steps of 1/k and is no calibrated
    probability. Equal to scikit-learn's `KNeighborsClassifier(k, algorithm="brute")` on float64.

    Parameters
    ----------
    k : int
        20 in the paper; `usual_k` gives one that fits the number of probes.
    categories : sequence of str, optional
        Order of the columns. Sorted names of what it is fitted on when not given.

    Notes
    -----
    Source: Siddiqui et al., ICLR 2023 (MAP-D), section 3 and appendix; k = 20, uniform votes, raw losses in nats.
    """

    def __init__(self, k: int = REFERENCE_K, categories: Sequence[str] | None = None) -> None:
        if k < 1:
            raise InvalidInput(f"k is {k}; at least one neighbour is needed.", field="k")
        self.k = k
        self.categories: tuple[str, ...] = tuple(categories or ())
        self._curves: AnyArray | None = None
        self._codes: AnyArray = np.zeros(0, dtype=np.int64)

    def fit(self, curves: CurveArray, categories: Words) -> ReferenceTagger:
        """Remember the probes.

        Parameters
        ----------
        curves : float array, shape (n, epochs)
        categories : str array, shape (n,)

        Raises
        ------
        InvalidInput
            With fewer than k probes, curves that are not finite, or a category that was not announced.
        """
        if len(curves) < self.k:
            raise InvalidInput(f"{len(curves)} probes are fewer than k = {self.k}: lower k.", field="k")
        if not np.isfinite(curves).all():
            raise InvalidInput("A probe's curve has gaps or infinite values: fill the curves first.")
        self.categories = self.categories or tuple(sorted(set(categories.tolist())))
        number = {name: code for code, name in enumerate(self.categories)}
        if unknown := sorted(set(categories.tolist()) - set(number)):
            raise InvalidInput(f"{unknown[0]!r} is not among the categories {list(self.categories)}.")
        self._curves = np.ascontiguousarray(curves, dtype=np.float64)
        self._codes = np.array([number[name] for name in categories.tolist()], dtype=np.int64)
        return self

    def predict_proba(
        self, curves: CurveArray, on_progress: Callable[[int], None] | None = None
    ) -> Probabilities:
        """Share of the k nearest probes in each category.

        Parameters
        ----------
        curves : float array, shape (m, epochs)
            Rows that are not finite throughout have no neighbours.
        on_progress : callable, optional
            Called with the number of rows done, a few times a second.

        Returns
        -------
        float32 array, shape (m, categories)
            Columns in the order of `categories`; NaN rows where the curve is not finite.
        """
        out = np.full((len(curves), len(self.categories)), np.nan, dtype=np.float32)
        search = self._search(self.k)
        for start in range(0, len(curves), _CHUNK_ROWS):
            block = curves[start : start + _CHUNK_ROWS]
            whole = np.flatnonzero(np.isfinite(block).all(axis=1))
            if len(whole):
                out[start + whole] = self._votes(search(block[whole])[1])
            if on_progress is not None:
                on_progress(min(start + _CHUNK_ROWS, len(curves)))
        return out

    def predict_left_out(self) -> Probabilities:
        """For each probe it was fitted on, the votes of its k nearest others. Shape (n, categories).

        A probe is its own nearest neighbour: with its own vote, a known example would confirm itself.
        """
        probes = self._fitted()
        k = min(self.k, len(probes) - 1)
        if k < 1:
            raise InvalidInput("One probe alone has no others to be compared with: add probes.")
        _, nearest = self._search(k + 1)(probes)
        others = nearest != np.arange(len(probes))[:, None]
        # Among more than k identical curves a probe may be missing from its own list: then drop the farthest.
        others[others.all(axis=1), -1] = False
        return self._votes(nearest[others].reshape(len(probes), k))

    def neighbours(self, curves: CurveArray, k: int | None = None) -> tuple[AnyArray, Rows]:
        """The nearest probes, nearest first.

        Returns
        -------
        distances : float64 array, shape (m, k)
            In the unit of the curves.
        positions : int64 array, shape (m, k)
            In what it was fitted on.
        """
        if not np.isfinite(curves).all():
            raise InvalidInput("A curve has gaps or infinite values, so it has no neighbours: fill it first.")
        return self._search(min(k or self.k, len(self._fitted())))(np.asarray(curves))

    def _fitted(self) -> AnyArray:
        if self._curves is None:
            raise InvalidInput(_NOT_FITTED)
        return self._curves

    def _search(self, k: int) -> Callable[[AnyArray], tuple[AnyArray, Rows]]:
        from sklearn.neighbors import NearestNeighbors

        fitted = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="euclidean").fit(self._fitted())

        def search(curves: AnyArray) -> tuple[AnyArray, Rows]:
            if curves.shape[1] != self._fitted().shape[1]:
                raise InvalidInput(
                    f"Curves of {curves.shape[1]} epochs cannot be compared with probes of "
                    f"{self._fitted().shape[1]}: cut both to the same epochs.",
                    field="curves",
                )
            distances, positions = fitted.kneighbors(np.ascontiguousarray(curves, dtype=np.float64))
            return distances, positions

        return search

    def _votes(self, nearest: Rows) -> Probabilities:
        """Shares of the categories among the neighbours, shape (m, categories)."""
        num, k = nearest.shape
        width = len(self.categories)
        flat = np.arange(num)[:, None] * width + self._codes[nearest]
        counts = np.bincount(flat.ravel(), minlength=num * width).reshape(num, width)
        return np.asarray(counts / k, dtype=np.float32)


def usual_k(categories: Words) -> int:
    """k for these fit probes: 20, but at most a quarter of the smallest category, and at least 1."""
    if not len(categories):
        raise InvalidInput("There is no probe to fit the tagger on.", field="probes")
    _, counts = np.unique(categories, return_counts=True)
    return max(1, min(REFERENCE_K, int(counts.min()) // 4))


def roughness(k: int) -> str | None:
    """A warning for fewer neighbours than the paper's, or None."""
    if k >= REFERENCE_K:
        return None
    step = f"steps of {1 / k:.0%}" if k > 1 else "nothing between 0 and 1"
    return (
        f"Few probes: k = {k} instead of {REFERENCE_K}, so the probabilities of one run come in {step} and single "
        "tags are rough. 80 or more fit probes in every category lift this."
    )
