"""Named sets: where they come from, fetched and checked."""
