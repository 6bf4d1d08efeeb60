"""Parts of `benchmarks/categories.py`: data with a known nature, trainings, and what is asked of them."""
