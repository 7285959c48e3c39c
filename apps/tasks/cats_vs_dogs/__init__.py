"""Photos, from scratch."""
