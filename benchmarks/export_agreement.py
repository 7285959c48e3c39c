"""Do the exported digits files answer as Keras does? 1,000 pictures of mixed sizes, colours and polarities.

    python benchmarks/export_agreement.py [MODEL]

Exports the shipped digits model (or MODEL) to a temporary folder and prints the greatest difference of each format.
"""

import sys
import tempfile

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.reporting.export_figures import print_parity

PICTURES = 1000


def main() -> None:
    use_backend(None)
    import numpy as np

    from convmedia.data.datasets.digits import bundled, photograph, without_digit
    from convmedia.models import load, shipped
    from convmedia.models.export.exporter import export

    predictor = load(sys.argv[1]) if len(sys.argv) > 1 else shipped("mnist")
    rng = np.random.default_rng(7)
    sources = bundled().train.pictures
    enlarged = np.pad(sources.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))  # 8x8 as 28x28
    pictures = []
    while len(pictures) < PICTURES:
        size = (int(rng.integers(32, 400)), int(rng.integers(32, 400)))
        for _ in range(10):
            blank = rng.random() < 0.1
            digit = enlarged[rng.integers(len(enlarged))]
            pictures.append(without_digit(size, rng) if blank else photograph(digit, size, rng))
    with tempfile.TemporaryDirectory() as folder:
        parity = export(predictor, ["saved-model", "onnx", "litert"], folder, pictures)
        print_parity(parity, folder)


if __name__ == "__main__":
    main()
