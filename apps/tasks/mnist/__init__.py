"""Reading digits."""
