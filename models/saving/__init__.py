"""The saved file: joined, written, read safely."""
