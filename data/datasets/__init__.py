"""The sets that applications learn from."""
