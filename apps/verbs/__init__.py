"""The verbs, each written once."""
