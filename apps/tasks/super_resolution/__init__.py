"""Larger pictures."""
