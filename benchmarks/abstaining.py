"""Do files that learned cats and dogs say "none of these" of 300 other pictures, and not of cats and dogs?

    CONVMEDIA_DATA=... python benchmarks/abstaining.py [RUN]

Trains `transfer` on cats_vs_dogs with `--none-of-these bundled` (or takes RUN), exports, and asks the saved file, the
ONNX file and the LiteRT file of 300 pictures of neither kind and of the 600 test pictures. Beside it what a threshold
on the greatest probability does (Hendrycks and Gimpel 2017) that some share of the validation pictures lies below.

The 300 come from nine sets that nothing was fitted on. Of each set every second picture was looked at while the method
was made; those reported here are of the others. Left out are pictures with cats or dogs, wild ones, too.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

NUMBER = 300
SOURCES = {
    "super_resolution/BSD200/*.jpg": 1,  # take every so many
    "super_resolution/T91/*": 1,
    "super_resolution/Set14/HR/*": 1,
    "coco_val64/images/*": 1,
    "camvid/*/images/*": 6,
    "nuclei/train/images/*": 7,
    "bccd/JPEGImages/*": 6,
    "digits_in_the_wild/*/*": 1,
    "style/*/*": 1,
}
CATS_AND_DOGS = {
    *["247085", "310007"],  # of BSD200: dogs
    *["42078", "109034", "105019", "105053", "108041", "108073", "187039"],  # a wolf, foxes, lions, tigers
    *["134008", "134052", "159029", "159045", "326038"],  # cheetahs, leopards, young cougars and lynxes
}


def others(data: Path) -> list[Path]:
    """The pictures of neither kind: of every second one of each source, `NUMBER` in all."""
    found = []
    for pattern, step in SOURCES.items():
        files = sorted(data.glob(pattern))[::step]
        found += [file for file in files[1::2] if file.stem not in CATS_AND_DOGS and not shows_pets(file)]
    return [found[place] for place in np.sort(np.random.default_rng(0).permutation(len(found))[:NUMBER])]


def shows_pets(file: Path) -> bool:
    """Whether COCO's labels of a picture name a cat (15) or a dog (16)."""
    labels = file.parents[1] / "labels" / f"{file.stem}.txt"
    return labels.is_file() and any(line.split()[0] in ("15", "16") for line in labels.read_text().splitlines())


def main() -> None:
    data = Path(os.environ["CONVMEDIA_DATA"])
    if len(sys.argv) > 1:
        measure(data, Path(sys.argv[1]))
        return
    import convmedia

    with tempfile.TemporaryDirectory() as folder:
        pets = str(data / "cats_vs_dogs")
        run = convmedia.train("transfer", data=pets, epochs=0, none_of_these="bundled", out=Path(folder) / "run")
        measure(data, run.folder)


def measure(data: Path, run: Path) -> None:
    from convmedia.apps.classification import photo_pipeline
    from convmedia.apps.classification.evaluation import answers, raw_examples
    from convmedia.data.folders.labelled import Files
    from convmedia.models import load
    from convmedia.models.export.exporter import export
    from convmedia.models.saving.engines import exported

    model = load(run)
    pets = photo_pipeline.loaded(str(data / "cats_vs_dogs"))
    export(model, ["onnx", "litert"], run / "export", raw_examples(pets.train.pictures, 50))
    neither = Files(others(data))
    none = model.labels.index("none of these")
    asked = {"keras": model, **{name: exported(run, runtime=name) for name in ("onnx", "litert")}}
    print(f"{len(neither)} pictures of neither kind, {len(pets.test)} test pictures of cats and dogs")
    for name, one in asked.items():
        said = [answers(one, pictures, len(pictures), name) for pictures in (neither, pets.test.pictures)]
        print(f"{name:8}", *(shown(answer.argmax(1) == none) for answer in said), sep="  ")
        if name == "keras":
            unsure(model, pets, said, none)
            per_source(neither.paths, said[0].argmax(1) == none, data)


def unsure(model, pets, said: list[np.ndarray], none: int) -> None:
    """What a threshold on the greatest probability of a label does, at which as many validation pictures are below."""
    from convmedia.apps.classification.evaluation import answers

    held = answers(model, pets.validation.pictures, len(pets.validation), "validation")
    surest = [np.delete(one, none, 1).astype("float64") for one in (held, *said)]
    surest = [(one / one.sum(1, keepdims=True).clip(1e-300)).max(1) for one in surest]
    for share in (0.01, 0.02, 0.05):
        limit = np.quantile(surest[0], share)
        print(f"greatest probability, {share:.0%} of validation", *(shown(one < limit) for one in surest[1:]), sep="  ")


def per_source(paths: list[Path], abstained: np.ndarray, data: Path) -> None:
    for pattern in SOURCES:
        members = np.array([path.match(str(data / pattern)) for path in paths])
        print(f"    {pattern:32} {abstained[members].sum():4} of {members.sum()}")


def shown(abstained: np.ndarray) -> str:
    from convmedia.apps.reporting.shares import counted

    return counted(float(abstained.mean()), len(abstained))


if __name__ == "__main__":
    main()
