"""⑤ Explanations against slow loops."""

import numpy as np
import pytest

from sondage.errors import InvalidInput
from sondage.tagging.explain import bands, nearest_probes

RNG = np.random.default_rng(0)
PROBES = RNG.random((40, 6)).astype(np.float32)
ROWS = np.arange(100, 140)
CATEGORIES = np.array(["noisy", "ood"])[np.arange(40) % 2]


def test_nearest_probes_are_the_nearest():
    queries = RNG.random((7, 6)).astype(np.float32)
    got = nearest_probes(queries, PROBES, ROWS, CATEGORIES, k=4)
    for row, query in enumerate(queries):
        distance = [float(np.linalg.norm(probe.astype(float) - query)) for probe in PROBES]
        order = np.argsort(distance)[:4]
        assert got.row[row].tolist() == ROWS[order].tolist()
        assert got.category[row].tolist() == CATEGORIES[order].tolist()
        np.testing.assert_allclose(got.distance[row], np.sort(distance)[:4])


def test_a_probe_is_not_its_own_neighbour():
    got = nearest_probes(PROBES[[3, 0]], PROBES, ROWS, CATEGORIES, k=5, rows=np.array([103, 7]))
    assert 103 not in got.row[0]
    assert got.row[1, 0] == 100
    assert got.row.shape == (2, 5)
    assert (np.diff(got.distance, axis=1) >= 0).all()


def test_there_are_never_more_neighbours_than_probes():
    assert nearest_probes(PROBES[:1], PROBES[:3], ROWS[:3], CATEGORIES[:3], k=9).row.shape == (1, 3)
    with pytest.raises(InvalidInput, match="no fit probes"):
        nearest_probes(PROBES[:1], PROBES[:0], ROWS[:0], CATEGORIES[:0])


def test_bands_are_quantiles_per_epoch():
    got = bands(PROBES, CATEGORIES)
    assert list(got) == ["noisy", "ood"]
    for name in got:
        mine = PROBES[name == CATEGORIES]
        np.testing.assert_allclose(got[name].low, np.quantile(mine, 0.1, axis=0), rtol=1e-6)
        np.testing.assert_allclose(got[name].median, np.median(mine, axis=0), rtol=1e-6)
        np.testing.assert_allclose(got[name].high, np.quantile(mine, 0.9, axis=0), rtol=1e-6)


def test_bands_leave_out_what_was_not_seen():
    curves = np.array([[1, np.nan, np.nan], [3, 5, np.nan]], np.float32)
    band = bands(curves, np.array(["a", "a"]))["a"]
    np.testing.assert_array_equal(band.median, [2, 5, np.nan])
