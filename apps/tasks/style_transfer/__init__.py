"""Pictures in the style of others."""
