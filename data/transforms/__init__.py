"""Arithmetic on pictures: resizing, colours, affine maps."""
