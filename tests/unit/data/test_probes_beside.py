"""A run's probes are put in their place at once, and not before they are all there."""

import numpy as np

from worker.data.arrays import probes_beside, read_probes, write_probes


def test_probes_beside_leave_what_is_there_until_they_are_put_there(tmp_path):
    folder = tmp_path / "probes"
    write_probes(folder, np.zeros((2, 3), np.float32))
    with probes_beside(folder, np.ones((4, 3), np.float32)) as publish:
        np.testing.assert_array_equal(read_probes(folder)[0], np.zeros((2, 3)))
        publish()
        np.testing.assert_array_equal(read_probes(folder)[0], np.ones((4, 3)))
    with probes_beside(folder, np.zeros((2, 3), np.float32)):
        pass
    np.testing.assert_array_equal(read_probes(folder)[0], np.ones((4, 3)))
    assert [path.name for path in tmp_path.iterdir()] == ["probes"]
