"""⑤ The reference tagger against scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from sondage.errors import InvalidInput
from sondage.tagging.reference import ReferenceTagger, roughness, usual_k

NAMES = ("noisy", "corrupted", "ood")


def probes(n=90, epochs=12, seed=0):
    rng = np.random.default_rng(seed)
    categories = np.array(NAMES)[np.arange(n) % 3]
    return rng.normal(np.arange(n)[:, None] % 3, 1.5, (n, epochs)).astype(np.float32), categories


def sklearns(curves, categories, queries, k):
    other = KNeighborsClassifier(n_neighbors=k, algorithm="brute", metric="euclidean", weights="uniform")
    other.fit(curves.astype(np.float64), categories)
    columns = [other.classes_.tolist().index(name) for name in NAMES]
    return other.predict_proba(queries.astype(np.float64))[:, columns]


@pytest.mark.parametrize("k", [1, 7, 20, 89, 90])
def test_probabilities_are_scikit_learns(k, monkeypatch):
    monkeypatch.setattr("sondage.tagging.reference._CHUNK_ROWS", 64)
    curves, categories = probes()
    queries = np.random.default_rng(5).normal(1, 2, (333, 12)).astype(np.float32)
    got = ReferenceTagger(k, NAMES).fit(curves, categories).predict_proba(queries)
    np.testing.assert_array_equal(got, sklearns(curves, categories, queries, k).astype(np.float32))


def test_columns_are_sorted_names_unless_an_order_is_stated():
    curves, categories = probes()
    tagger = ReferenceTagger(3).fit(curves, categories)
    assert tagger.categories == ("corrupted", "noisy", "ood")


def test_a_category_without_probes_has_a_column_of_zeros():
    curves, categories = probes()
    got = ReferenceTagger(5, ("ghost", *NAMES)).fit(curves, categories).predict_proba(curves)
    assert (got[:, 0] == 0).all()


def test_left_out_is_fitting_without_that_probe():
    curves, categories = probes(30)
    got = ReferenceTagger(7, NAMES).fit(curves, categories).predict_left_out()
    for left in range(30):
        rest = np.arange(30) != left
        expected = sklearns(curves[rest], categories[rest], curves[[left]], 7)[0]
        np.testing.assert_allclose(got[left], expected, rtol=1e-6)


def test_left_out_among_identical_curves_still_counts_k_votes():
    curves = np.ones((9, 3))
    categories = np.array(["noisy"] * 5 + ["ood"] * 4)
    got = ReferenceTagger(4, NAMES).fit(curves, categories).predict_left_out()
    np.testing.assert_allclose(got.sum(axis=1), 1)
    assert len(ReferenceTagger(9, NAMES).fit(curves, categories).predict_left_out()) == 9


def test_rows_with_gaps_have_no_probabilities():
    curves, categories = probes()
    queries = curves[:4].copy()
    queries[1, 3] = np.nan
    queries[2] = np.nan
    got = ReferenceTagger(5, NAMES).fit(curves, categories).predict_proba(queries)
    assert np.isnan(got).all(axis=1).tolist() == [False, True, True, False]


def test_neighbours_are_nearest_first():
    curves, categories = probes()
    query = np.zeros((1, 12))
    distances, positions = ReferenceTagger(5).fit(curves, categories).neighbours(query)
    by_hand = np.sqrt((curves.astype(float) ** 2).sum(axis=1))
    np.testing.assert_array_equal(positions[0], np.argsort(by_hand)[:5])
    np.testing.assert_allclose(distances[0], np.sort(by_hand)[:5])


def test_progress_counts_up_to_all_rows(monkeypatch):
    monkeypatch.setattr("sondage.tagging.reference._CHUNK_ROWS", 40)
    curves, categories = probes()
    done = []
    ReferenceTagger(5).fit(curves, categories).predict_proba(curves, done.append)
    assert done == [40, 80, 90]


def test_misuse_is_named():
    curves, categories = probes(6)
    with pytest.raises(InvalidInput, match="fewer than k = 20"):
        ReferenceTagger().fit(curves, categories)
    with pytest.raises(InvalidInput, match="not fitted"):
        ReferenceTagger(1).predict_proba(curves)
    with pytest.raises(InvalidInput, match="at least one neighbour"):
        ReferenceTagger(0)
    with pytest.raises(InvalidInput, match="'corrupted' is not among"):
        ReferenceTagger(1, ("noisy", "ood")).fit(curves, categories)
    fitted = ReferenceTagger(1).fit(curves, categories)
    with pytest.raises(InvalidInput, match="Curves of 5 epochs"):
        fitted.predict_proba(curves[:, :5])
    with pytest.raises(InvalidInput, match="fill"):
        fitted.neighbours(np.full((1, 12), np.nan))
    with pytest.raises(InvalidInput, match="fill"):
        ReferenceTagger(1).fit(np.full((6, 2), np.inf), categories)
    with pytest.raises(InvalidInput, match="no others"):
        ReferenceTagger(1).fit(curves[:1], categories[:1]).predict_left_out()


@pytest.mark.parametrize(
    ("sizes", "k"), [((250, 250), 20), ((80, 500), 20), ((79, 90), 19), ((8, 90), 2), ((3, 90), 1)]
)
def test_k_follows_the_smallest_category(sizes, k):
    assert usual_k(np.repeat(["a", "b"], sizes)) == k


def test_few_neighbours_are_warned_about():
    assert roughness(20) is None
    assert "k = 4" in roughness(4)
    assert "25%" in roughness(4)
    assert "nothing between 0 and 1" in roughness(1)
    with pytest.raises(InvalidInput, match="no probe"):
        usual_k(np.array([], dtype=str))
