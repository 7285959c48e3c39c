"""Pages: a folder of files in which a model answers in the visitor's own browser."""
