"""Exported formats: written, described, quantised, run."""
