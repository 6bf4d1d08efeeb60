"""The parts of `benchmarks.truth`: data, wrong labels, trainings, detectors, metrics, table."""
