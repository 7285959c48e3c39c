"""Metrics, optimizers, losses of style."""
