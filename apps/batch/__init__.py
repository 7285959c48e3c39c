"""Many files: workers, rows, pictures made of pictures."""
