"""Train, look, embed and export from Python. Takes a minute: python docs/first_steps.py"""

import sys
from pathlib import Path

import numpy as np

import convmedia

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "first-steps")
quick = {"network": "lenet5", "augment": False, "epochs": 8, "batch_size": 32}
run = convmedia.train("mnist", data="digits", out=folder / "run", overwrite=True, **quick)
print(f"{run.metrics['test']['accuracy']:.1%} of the test digits are read right; {run.report} shows which are not")

model = run.load()
photo = np.full((120, 90), 255, np.uint8)  # white paper
photo[20:100, 42:50] = 30  # a stroke of dark ink
print("a stroke is read as", model.predict(photo)["label"], "and inverted as", model.predict(255 - photo)["label"])

features = model.embed([photo, 255 - photo])
print(
    f"{features.shape[1]} features; those of the two pictures differ by {np.abs(features[0] - features[1]).max():.1e}"
)

parity = model.export("onnx", out=folder / "exported")
print(f"ONNX Runtime answers the same but for {parity['onnx']['max_abs_diff']:.0e}")
