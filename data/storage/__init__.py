"""Files, caches, memory, errors: what everything stands on."""
