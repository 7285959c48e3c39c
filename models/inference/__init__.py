"""Asking a model: arrays, files, tiles, sounds."""
