"""Labelling sounds."""
