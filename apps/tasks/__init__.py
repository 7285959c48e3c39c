"""A room for each application."""
