"""What is odd in a set of labelled pictures: copies of one another, labels that are probably wrong."""
