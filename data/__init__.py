"""How examples get in: sources, decoding, folders, augmentation."""
