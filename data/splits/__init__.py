"""Training, validation and test splits, folds, groups, duplicates."""
