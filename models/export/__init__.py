"""Exporting and proving that the files answer as the model does."""
