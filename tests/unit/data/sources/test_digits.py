from __future__ import annotations

import subprocess
import sys

import numpy as np
from sklearn.datasets import load_digits

from sondage.wire import Noise
from worker.data.noise import read_truth


def test_digits_are_registered_with_their_pixels_scaled(register):
    done = register("digits")
    digits = load_digits()
    assert done.registration.class_names == [str(digit) for digit in range(10)]
    assert done.registration.modality == "image"
    assert done.payload.array.shape == (1797, 8, 8, 1)
    np.testing.assert_allclose(done.payload.array[..., 0] / 255 * 16, digits.images, atol=0.04)
    np.testing.assert_array_equal(done.registration.labels, digits.target)
    assert done.registration.keys[-1] == "1796"


def test_the_share_set_aside_is_taken_from_every_class(register):
    registration = register("digits", validation_share=0.2).registration
    splits = np.array(registration.splits)
    for label in range(10):
        of_class = splits[registration.labels == label]
        assert (of_class == "validation").sum() == round(0.2 * len(of_class))
    again = register("digits", validation_share=0.2).registration
    assert again.splits == registration.splits
    assert again.fingerprint == registration.fingerprint


def test_planted_labels_are_in_train_alone_and_the_truth_lies_beside_the_payload(register):
    clean = register("digits", validation_share=0.2).registration
    done = register("digits", validation_share=0.2, noise=Noise(share=0.08, seed=5))
    truth = read_truth(done.payload.folder)
    changed = np.flatnonzero(done.registration.labels != clean.labels)
    np.testing.assert_array_equal(truth.rows, changed)
    np.testing.assert_array_equal(truth.labels, clean.labels[changed])
    assert {done.registration.splits[row] for row in changed} == {"train"}
    assert done.registration.provenance["num_planted"] == len(changed)
    assert done.registration.fingerprint != clean.fingerprint
    assert "truth" not in str(done.registration.provenance)


def test_scikit_learn_is_not_imported_for_its_file():
    opening = "from worker.data.sources.digits import open_digits; open_digits()"
    program = f"{opening}; import sys; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
