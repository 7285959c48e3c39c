"""`serve_bytes` of a SavedModel against `predict`, on files as they are: the largest difference of any score.

    convmedia audio export --format saved-model --out audio-export
    python benchmarks/serve_bytes.py audio audio-export/saved_model sounds/ [--model RUN] [--number 200]

Takes so many files, evenly spread over the folder: JPEG and PNG of 8 bits, RGB or grey or with transparency, or WAV of
16 bits at the model's rate. Others are counted and left out.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import soundfile
import tensorflow as tf
from PIL import Image

from convmedia.models import load, shipped


def taken(path: Path, sample_rate: int | None) -> bool:
    """Whether `serve_bytes` says that it takes such a file."""
    if sample_rate is not None:
        if path.suffix.lower() != ".wav":
            return False
        facts = soundfile.info(path)
        return facts.samplerate == sample_rate and facts.subtype == "PCM_16"
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        return False
    with Image.open(path) as picture:
        return picture.mode in ("RGB", "L", "RGBA", "LA", "P") and picture.format in ("JPEG", "PNG")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("app")
    parser.add_argument("saved_model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="the run it was exported from; default the included weights")
    parser.add_argument("--number", type=int, default=200)
    options = parser.parse_args()
    predictor = load(options.model, app=options.app) if options.model else shipped(options.app)
    serve = tf.saved_model.load(str(options.saved_model)).signatures["serve_bytes"]
    every = sorted(path for path in options.folder.rglob("*") if path.is_file())
    good = [path for path in every if taken(path, predictor.input.get("sample_rate"))]
    files = [good[place] for place in np.unique(np.linspace(0, len(good) - 1, options.number).astype(int))]
    same, apart = 0, 0.0
    for path, row in zip(files, predictor.predict_rows(files, top=1000), strict=True):
        answer = serve(file_bytes=tf.constant([path.read_bytes()]))
        scores = dict(zip(predictor.labels, answer["scores"].numpy()[0].tolist(), strict=True))
        same += max(scores, key=scores.__getitem__) == row["label"]
        apart = max(apart, *(abs(scores[entry["label"]] - entry["score"]) for entry in row["top"]))
    print(f"{options.app}: {len(files)} files of {len(every)}, the same label of {same}, scores within {apart:.1e}")


if __name__ == "__main__":
    main()
