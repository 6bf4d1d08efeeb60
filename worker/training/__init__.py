"""② The training engine: recipes, models, the loop, checkpoints. Imports torch and numpy alone."""
