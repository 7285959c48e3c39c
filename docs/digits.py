"""Make the digit pictures of the README: drawn strokes, photographed by `convmedia.data.datasets.digits`.

python docs/digits.py            # writes data/samples/{two,four,five,seven}.*
python docs/digits.py --gallery  # and, with the shipped weights, docs/pictures/digits.png
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.interpolate import make_interp_spline

from convmedia.data import samples
from convmedia.data.datasets import digits
from convmedia.data.images import decoding

PICTURES = Path(__file__).parent / "pictures"
STROKES = {  # control points in a unit square, x to the right, y down
    "two": [
        [(0.24, 0.3), (0.33, 0.14), (0.55, 0.1), (0.7, 0.27), (0.58, 0.52), (0.3, 0.83)],
        [(0.3, 0.83), (0.78, 0.8)],
    ],
    "four": [
        [(0.55, 0.08), (0.4, 0.33), (0.2, 0.6)],
        [(0.2, 0.6), (0.82, 0.57)],
        [(0.62, 0.36), (0.6, 0.65), (0.57, 0.94)],
    ],
    "five": [
        [(0.36, 0.12), (0.33, 0.44)],
        [(0.36, 0.12), (0.72, 0.1)],
        [(0.33, 0.44), (0.55, 0.4), (0.7, 0.6), (0.55, 0.85), (0.28, 0.82)],
    ],
    "seven": [[(0.22, 0.17), (0.5, 0.15), (0.78, 0.13)], [(0.78, 0.13), (0.6, 0.47), (0.47, 0.92)]],
}


def ink(name, size, box, pen):
    """Strokes of a digit as 0..1 of shape `size`; `box` is left, top, side in px."""
    canvas = Image.new("L", size[::-1])
    pencil = ImageDraw.Draw(canvas)
    left, top, side = box
    for stroke in STROKES[name]:
        points = np.array(stroke) * side + (left, top)
        spline = make_interp_spline(np.arange(len(points)), points, k=min(2, len(points) - 1))
        curve = [tuple(point) for point in spline(np.linspace(0, len(points) - 1, 400))]
        for x, y in curve:
            pencil.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(1.2)), "float32") / 255


def photographed(mark, ground, colour, rng, lined=False):
    surface = np.full((*mark.shape, 3), ground, "float32")
    surface = digits.lines(surface, np.array((90, 120, 190), "float32"), rng) if lined else surface
    grain = digits.smooth_noise(mark.shape, 70, rng)[..., None] * 3
    picture = (surface + grain) * (1 - mark[..., None]) + np.array(colour) * mark[..., None]
    return digits.finish(picture * digits.light(mark.shape, rng), rng)


def main():
    PICTURES.mkdir(exist_ok=True)
    seven = photographed(
        ink("seven", (420, 320), (70, 110, 190), 7), (226, 224, 214), (28, 36, 92), np.random.default_rng(8), True
    )
    decoding.encode(seven, samples.FOLDER / "seven.jpg")
    five = photographed(
        ink("five", (360, 360), (60, 50, 250), 19), (38, 74, 58), (232, 232, 222), np.random.default_rng(5)
    )
    decoding.encode(five, samples.FOLDER / "five.jpg")
    two = photographed(
        ink("two", (300, 460), (240, 40, 170), 4), (196, 170, 128), (70, 30, 24), np.random.default_rng(3)
    )
    decoding.encode(two, samples.FOLDER / "two.jpg")
    four = ink("four", (280, 280), (20, 20, 240), 26)
    clear = np.dstack([np.full((*four.shape, 3), (235, 240, 255)), four * 255]).astype("uint8")
    Image.fromarray(clear, "RGBA").save(samples.FOLDER / "four.png", optimize=True)  # light ink on nothing
    if "--gallery" in sys.argv:
        gallery()


def gallery():
    """What is given, what the network sees, what it answers."""
    import matplotlib.pyplot as plt

    from convmedia.models import shipped
    from convmedia.models.analysis.grad_cam import prepared

    predictor = shipped("mnist")
    files = sorted(path for path in samples.FOLDER.glob("*.*") if path.stem in STROKES)
    figure, axes = plt.subplots(2, len(files), figsize=(2.2 * len(files), 4.6), layout="constrained")
    for (above, below), row in zip(axes.T, predictor.predict_files(files), strict=True):
        picture = decoding.decode(row["file"])
        above.imshow(picture)
        above.set_title(Path(row["file"]).name, fontsize=9)
        below.imshow(prepared(predictor.model, picture)[..., 0], cmap="gray", vmin=0, vmax=1)
        below.set_title(f"{row['label']}   {100 * row['score']:.1f} %", fontsize=11)
    for plot in axes.flat:
        plot.axis("off")
    figure.savefig(PICTURES / "digits.png", dpi=110)


if __name__ == "__main__":
    main()
