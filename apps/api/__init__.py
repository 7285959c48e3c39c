"""The applications from Python: what `import convmedia` gives."""
