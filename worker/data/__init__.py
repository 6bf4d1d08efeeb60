"""① From sources to batches that carry row numbers."""
