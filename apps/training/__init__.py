"""Training: the one place that calls `fit`, and what watches it."""
