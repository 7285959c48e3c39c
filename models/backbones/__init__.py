"""Networks that were trained on ImageNet, and fine-tuning them."""
