"""What ends up inside a saved file: layers, networks, metrics, saving."""
