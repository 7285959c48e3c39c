"""Photos, from pretrained networks."""
