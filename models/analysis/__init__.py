"""Looking into a model: layers, receptive field, Grad-CAM, features."""
