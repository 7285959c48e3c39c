"""What a user runs: one module per application, named as its command."""
