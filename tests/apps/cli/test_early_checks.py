"""What is wrong with a command line is said in one line before Keras and TensorFlow, which take seconds, are loaded."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from convmedia.apps.cli.early_checks import KINDS
from convmedia.apps.tasks.style_transfer import options
from convmedia.data.sources.catalogue import SOURCES
from convmedia.models.backbones.vgg import CONVOLUTIONS, names
from convmedia.models.formats.formats import FORMATS, plain, smaller
from convmedia.models.losses.style_losses import _keras_name

OTHER_KIND = {"digits": "Set5", "photos": "fsdd", "sounds": "mnist", "pictures": "fsdd"}


def of_every_application():
    """Wrong arguments of `export` and `evaluate` of each application with words of the message."""
    for app, kind in KINDS.items():
        export = f"{app} export" + (" --model packed.keras" if app == "transfer" else "")  # ships no weights
        yield f"{export} --quantize int4", "is not one of"
        yield f"{export} --format pdf", "is not one of"
        yield f"{export} --format saved-model --quantize int8", "is for --format onnx and --format litert"
        yield f"{export} --format onnx --quantize float16", "is for --format litert; received onnx"
        yield f"{export} --format onnx --quantize int8 --quantize float16", "is for --format litert; received onnx"
        yield f"{export} --tolerance -1", "give 0 or more"
        yield f"{export} --tolerance nan", "--tolerance nan: give a finite number"
        yield f"{export} --data nowhere", "no data set is named"
        yield f"{export} --for tensorrt", "is not one of"
        if kind == "sounds":
            yield f"{export} --seconds 0.01", "--seconds"
            yield f"{export} --seconds long", "--seconds"
            yield f"{export} --size 64x64", "--size"
        else:
            yield f"{export} --size 64", "--size is height and width in px, such as 224x224; received '64'"
            yield f"{export} --size 64x-3", "--size is height and width in px"
            yield f"{export} --size 4x64", "--size takes sides of 8 to 4096 px; received 4x64"
            yield f"{export} --size 64x5000", "--size takes sides of 8 to 4096 px; received 64x5000"
            yield f"{export} --seconds 2", "--seconds"
        yield f"{export} --data {OTHER_KIND[kind]} --quantize int8", OTHER_KIND[kind]
        yield f"{export} --out text.txt", "text.txt is a file; give a folder"
        yield f"{export} --out text.txt/below", "text.txt is a file; give a folder"
        verbs = ["export"] if app == "style-transfer" else ["export", "evaluate --data digits"]
        for verb in [verb.replace("digits", "samples") for verb in verbs]:
            yield f"{app} {verb} --model nowhere", "there is no model nowhere"
            yield f"{app} {verb} --model empty", "The folder empty holds no model.keras"
            yield f"{app} {verb} --model text.txt", "text.txt is no Keras file"
        if app != "style-transfer":
            yield f"{app} evaluate --data nowhere", "no data set is named"
            yield f"{app} evaluate --data {OTHER_KIND[kind]}", OTHER_KIND[kind]
        if app in ("mnist", "cats-vs-dogs", "audio"):
            yield f"{app} evaluate --data samples --group (", "is no regular expression"
    yield "transfer export --format onnx", "No weights are shipped"


UPSCALE, APPLY = "super-resolution upscale", "style-transfer apply"
STYLIZE = "style-transfer stylize samples/a.png samples/a.png"
OF_PICTURES = [
    ("super-resolution evaluate", "--data"),
    ("super-resolution evaluate --data Set5+nowhere", "no data set is named"),
    ("super-resolution evaluate --data empty", "empty holds no picture"),
    ("super-resolution evaluate --data text.txt", "no data set is named"),
    ("super-resolution evaluate --data Set5 --network srcnn-9-1-5", "No weights are shipped"),
    ("super-resolution evaluate --data Set5 --scale 5", "is not one of"),
    ("super-resolution evaluate --data Set5 --backend numpy", "the backend numpy is unknown"),
    ("super-resolution export --network srcnn-9-1-5", "No weights are shipped"),
    *(
        (f"{verb}{line}", words)
        for verb in (UPSCALE, APPLY)
        for line, words in (
            (" samples/a.png", "--out"),
            (" --out o", "no file is named"),
            (" samples/a.png --out text.txt", "text.txt is a file; give a folder"),
            (" empty --out o", "empty holds no picture"),
            (" samples/a.png --out o --model nowhere", "there is no model nowhere"),
            (" --files-from none.txt --out o", "--files-from none.txt"),
            (" samples/a.png --out o --backend numpy", "the backend numpy is unknown"),
            (" samples/a.png --out o --workers 0", "give 1 or more"),
        )
    ),
    (f"{UPSCALE} samples/a.png --out o --network srcnn-9-1-5", "No weights are shipped"),
    (f"{UPSCALE} samples/a.png --out o --tile 3", "give 16 or more"),
    (f"{APPLY} samples/a.png --out o --blend x", "give a number for each style"),
    (f"{APPLY} samples/a.png --out o --blend=-1,2", "from 0 up"),
    (f"{APPLY} samples/a.png --out o --smooth 2", "give 1 or less"),
    ("style-transfer stylize samples/a.png --out o.png", "STYLE"),
    ("style-transfer stylize none.png samples/a.png --out o.png", "none.png"),
    ("style-transfer stylize samples/a.png none.png --out o.png", "none.png"),
    ("style-transfer stylize text.txt samples/a.png --out o.png", "text.txt"),
    (STYLIZE, "--out"),
    (f"{STYLIZE} --out o.xyz", "no format that is written"),
    (f"{STYLIZE} --out samples/a.png", "is a picture that was given"),
    (f"{STYLIZE} --out text.txt/o.png", "text.txt is a file"),
    (f"{STYLIZE} --out empty", "empty is a folder"),
    (f"{STYLIZE} --out o.png --blend x", "give a number for each style"),
    (f"{STYLIZE} --out o.png --blend 1,1", "give 1 numbers"),
    (f"{STYLIZE} --out o.png --mask none.png", "none.png"),
    (f"{STYLIZE} --out o.png --mask samples/a.png --mask samples/a.png", "give --mask once"),
    (f"{STYLIZE} --out o.png --animation o.mp4", "end it in .gif or .webp"),
    (f"{STYLIZE} --out o.png --start none.png", "none.png"),
    (f"{STYLIZE} --out o.png --weights none.npz", "there is no weights file none.npz"),
    (f"{STYLIZE} --out o.png --content-layer conv9_9", "vgg19 has no layer block9_conv9"),
    (f"{STYLIZE} --out o.png --network vgg16 --style-layer conv3_4", "vgg16 has no layer block3_conv4"),
    (f"{STYLIZE} --out o.png --steps 0", "give 1 or more"),
    (f"{STYLIZE} --out o.png --colour x", "is not one of"),
]
LINES = [*of_every_application(), *OF_PICTURES]

ASK = """
import contextlib, io, json, sys
from convmedia.apps.__main__ import command
from convmedia.apps.cli.entry import exit_code

class Found(Exception):
    pass

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in ("keras", "tensorflow"):
            raise Found(f"{name} is loaded")

sys.meta_path.insert(0, Refusing())
lines, sys.argv = json.loads(sys.argv[1]), ["convmedia"]
answers = []
for line in lines:
    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        try:
            code = exit_code(command, line.split())
        except Found as error:
            code = str(error)
    answers.append([code, said.getvalue(), printed.getvalue()])
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Of each line: its exit code, or that it loads Keras or TensorFlow, and what it printed."""
    folder = tmp_path_factory.mktemp("early")
    for name in ("samples", "empty"):
        (folder / name).mkdir()
    (folder / "text.txt").write_text("x")
    Image.new("RGB", (20, 20), (9, 90, 30)).save(folder / "samples" / "a.png")
    import zipfile

    with zipfile.ZipFile(folder / "packed.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    arguments = [sys.executable, "-c", ASK, json.dumps([line for line, _ in LINES])]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    return dict(zip((line for line, _ in LINES), json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(("line", "words"), LINES, ids=[line for line, _ in LINES])
def test_wrong_arguments_are_one_line_before_keras_is_loaded(answers, line, words):
    code, said, printed = answers[line]
    assert (code, printed) == (2, ""), said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert words in said


def test_the_quantised_files_of_each_format_are_those_that_are_written():
    known = {name for name in FORMATS if FORMATS[name].quantised}
    assert {f"{one}-{kind}" for one in plain() for kind in smaller(one)} == known


def test_each_application_takes_a_kind_of_set_that_there_is():
    assert {row.kind for row in SOURCES.values()} == set(KINDS.values())


def test_the_layers_that_stylize_takes_are_those_of_the_network():
    assert options.CONVOLUTIONS == CONVOLUTIONS
    for network in CONVOLUTIONS:
        options.require_layers(network, names(network))
    assert options.keras_name("conv4_2") == _keras_name("conv4_2") == "block4_conv2"
