"""⑤ Scores: a number per example by a named method."""
