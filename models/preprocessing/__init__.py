"""Layers that prepare raw input inside the file."""
