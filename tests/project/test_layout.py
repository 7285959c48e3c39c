"""The rules of the layout: where things are, who imports whom, what is loaded when."""

import ast
import json
import os
import re
import runpy
import socket
import subprocess
import sys
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import setuptools
import typer

from convmedia.apps import __main__ as main
from convmedia.apps.cli.application import subcommands

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {"apps": {"apps", "models", "data"}, "models": {"models", "data"}, "data": {"data"}}
APPLICATIONS = sorted(path.stem.replace("_", "-") for path in ROOT.glob("apps/[!_]*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]

CLASSIFIER = {"train", "evaluate", "predict", "export", "explain"}
VERBS = {
    "mnist": CLASSIFIER | {"compare"},
    "cats-vs-dogs": CLASSIFIER,
    "transfer": CLASSIFIER | {"embed"},
    "audio": CLASSIFIER,
    "style-transfer": {"train", "stylize", "apply", "export"},
    "super-resolution": {"train", "evaluate", "upscale", "export"},
}
TRAIN_OPTIONS = "--data --out --epochs --batch-size --limit --seed --resume --overwrite"

# What a machine without TensorFlow need not have, though it trains and loads with another backend.
NOT_ON_EVERY_MACHINE = {"tensorflow", "librosa", "sklearn", "matplotlib"}


class Imported(NamedTuple):
    file: str
    name: str  # with what is taken: `from convmedia.data.storage import files` is convmedia.data.storage.files
    level: int  # dots in front
    on_import: bool  # not inside a function


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def statements(node: ast.AST, on_import: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below, and whether it runs when the module is imported."""
    for child in ast.iter_child_nodes(node):
        runs = on_import and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield child, runs
        yield from statements(child, runs)


@cache
def imports(*folders: str) -> list[Imported]:
    found = []
    for path in python_files(*folders):
        file = path.relative_to(ROOT).as_posix()
        for node, runs in statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found += [Imported(file, alias.name, 0, runs) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [Imported(file, f"{node.module}.{alias.name}", node.level, runs) for alias in node.names]
    return found


def outside(*folders: str) -> set[tuple[str, str, bool]]:
    """(file, top-level name, whether on import) of what is neither the standard library's nor ours."""
    every = ((one.file, one.name.split(".")[0], one.on_import) for one in imports(*folders))
    return {one for one in every if one[1] not in sys.stdlib_module_names | {"convmedia"}}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", one)[0]) for one in requirements}


REQUIRED = named(PROJECT["project"]["dependencies"])
DECLARED = REQUIRED.union(*(named(requirements) for requirements in EXTRAS.values()))


@cache
def distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def provided(name: str, by: set[str]) -> bool:
    """Whether one of these distributions brings the module; a module that is absent is called as its distribution."""
    return not by.isdisjoint(map(normal, distributions().get(name, [name])))


def test_imports_go_one_way():
    ours = [one for one in imports(*MAY_IMPORT) if one.name.startswith("convmedia.")]
    assert {one.name.split(".")[1] for one in ours} == set(MAY_IMPORT)
    assert [one for one in ours if one.name.split(".")[1] not in MAY_IMPORT[one.file.split("/")[0]]] == []


ROOMS = {
    "data": "storage transforms images audio sources augmentation splits folders datasets samples",
    "models": "keras_internals box_overlap kind outputs description answer preprocessing networks backbones registered "
    "analysis inference saving losses formats export servers weights",
    "apps": "console runs cli training reporting batch classification review web verbs tasks faces api public",
}
"""Of each floor its rooms, from the ground up: a room imports from those before it only. Modules that lie on a floor
itself are rooms of their own; the applications' faces are one."""
FACES = {"mnist", "cats_vs_dogs", "transfer", "style_transfer", "super_resolution", "audio", "__main__"}


def room_of(name: str) -> tuple[str, str]:
    """Floor and room of a module: "data.images.opening" is in ("data", "images")."""
    floor, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return floor, "faces" if floor == "apps" and room in FACES else room


def imports_between_files() -> Iterator[tuple[str, str]]:
    """Each file as a module without the package's name, and those that it imports, in functions too. What makes a
    folder a package passes on what lies in it, and is left out."""
    files = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in python_files(*MAY_IMPORT)}
    for one in imports(*MAY_IMPORT):
        importer, parts = one.file.removesuffix(".py").replace("/", "."), one.name.split(".")
        if importer.endswith("__init__") or parts[0] != "convmedia":
            continue
        names = [".".join(parts[1:end]) for end in range(len(parts), 2, -1)]
        found = next((name for name in names if name in files), None)
        if found and found != importer:
            yield importer, found


def test_rooms_import_from_those_below_only():
    place = {(floor, room): number for floor in ROOMS for number, room in enumerate(ROOMS[floor].split())}
    pairs = [(one, room_of(one), other, room_of(other)) for one, other in imports_between_files()]
    assert len(pairs) > 500
    inside = [pair for pair in pairs if pair[1][0] == pair[3][0] and pair[1] != pair[3]]
    assert [(one, other) for one, above, other, below in inside if place[above] <= place[below]] == []


def test_no_circle_between_files():
    left: dict[str, set[str]] = {}
    for importer, imported in imports_between_files():
        left.setdefault(importer, set()).add(imported)
    while free := [name for name, names in left.items() if not names & set(left)]:
        for name in free:
            del left[name]
    assert left == {}


def test_a_room_has_at_most_twelve_files_and_a_file_350_lines():
    counts = Counter(path.parent for path in python_files(*MAY_IMPORT) if path.stem != "__init__")
    assert {folder: number for folder, number in counts.items() if number > 12} == {}
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in python_files(*MAY_IMPORT)}
    assert {path.relative_to(ROOT).as_posix(): number for path, number in lines.items() if number > 350} == {}


def test_imports_are_absolute_and_by_the_namespace():
    every = imports(*MAY_IMPORT, "tests", "benchmarks", "docs")
    assert [one for one in every if one.level or one.name.split(".")[0] in {*MAY_IMPORT, "tests"}] == []


def test_modules_are_named_after_what_they_hold():
    drawer = re.compile(r"_*(utils?|common|helpers?|misc)", re.IGNORECASE)
    parts = {part for path in python_files(*MAY_IMPORT) for part in path.relative_to(ROOT).with_suffix("").parts}
    assert [part for part in parts if drawer.fullmatch(part)] == []


def test_every_application_is_a_command_under_its_name(run_command):
    done = run_command("--help")
    listed = re.findall(r"^  ([a-z][a-z-]*)  ", done.stdout.partition("Commands:")[2], re.MULTILINE)
    assert (done.returncode, sorted(listed)) == (0, sorted([*APPLICATIONS, "data", "inspect", "networks", "samples"]))


def commands(command=None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups too: (), ("mnist",), ("mnist", "train") ..."""
    command = command or typer.main.get_command(main.command)
    yield path
    for name, below in subcommands(command).items():
        yield from commands(below, (*path, name))


ASK_FOR_HELP = """
import contextlib, io, json, sys
from convmedia.apps.__main__ import command
from convmedia.apps.cli.entry import exit_code

answers = []
paths, sys.argv = json.loads(sys.argv[1]), ["convmedia"]
for path in paths:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = exit_code(command, [*path, "--help"])
    answers.append([path, code, printed.getvalue(), [name.partition(".")[0] for name in sys.modules]])
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, ...], tuple[int, str, set[str]]]:
    """Of each command's `--help`: exit code, what it printed, modules that were loaded by then."""
    arguments = [sys.executable, "-c", ASK_FOR_HELP, json.dumps(list(commands()))]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=120)
    return {tuple(path): (code, text, set(loaded)) for path, code, text, loaded in json.loads(done.stdout)}


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help_answers_with_nothing_heavy_loaded(answers, path):
    code, text, loaded = answers[path]
    assert code == 0
    assert text.split("\n")[0].startswith(" ".join(["Usage: convmedia", *path]))
    heavy = DECLARED - {"typer", "convmedia", "setuptools"}  # a .pth file of setuptools is there from the start
    assert {name for name in loaded & set(distributions()) if provided(name, heavy)} == set()


@pytest.mark.parametrize("application", APPLICATIONS)
def test_an_application_has_the_verbs_of_its_kind(answers, application):
    assert {path[1] for path in answers if path[:1] == (application,) and len(path) > 1} == VERBS[application]
    _, text, _ = answers[application, "train"]
    assert [option for option in TRAIN_OPTIONS.split() if f"{option} " not in text] == []


@pytest.fixture(scope="module")
def distribution() -> dict[str, Any]:
    """What setup.py tells setuptools."""
    told: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, "setup", lambda **given: told.update(given))
        runpy.run_path("setup.py")
    return told


def test_packages_of_the_distribution_are_the_folders_that_hold_python(distribution):
    folders = {path.parent.relative_to(ROOT).as_posix() for path in python_files(*MAY_IMPORT)} - {"apps/public"}
    packages = {f"convmedia.{folder.replace('/', '.')}": folder for folder in folders} | {"convmedia": "apps/public"}
    assert sorted(distribution["packages"]) == sorted(packages)
    assert distribution["package_dir"] == packages


def test_whatever_lies_beside_the_code_is_package_data(distribution):
    patterns = distribution["package_data"]
    names = {folder: name for name, folder in distribution["package_dir"].items()}
    beside = [
        path for room in MAY_IMPORT for path in (ROOT / room).rglob("*") if path.suffix not in ("", ".py", ".pyc")
    ]
    assert beside, "the shipped weights are not there"
    left_out = []
    for path in beside:
        package = next(parent for parent in path.relative_to(ROOT).parents if parent.as_posix() in names)
        within = path.relative_to(ROOT / package).as_posix()
        if not any(fnmatch(within, pattern) for pattern in patterns.get(names[package.as_posix()], [])):
            left_out.append(path)
    assert left_out == []


def test_what_the_code_imports_is_declared():
    assert [one for one in sorted(outside(*MAY_IMPORT)) if not provided(one[1], DECLARED)] == []
    assert [one for one in sorted(outside("tests", "benchmarks", "docs")) if not provided(one[1], DECLARED)] == []


# Declared, and never imported by name.
UNNAMED = {
    "tf2onnx": "Keras's ONNX export loads it",
    "pytest-xdist": "`make test` distributes the tests with it",
    "ruff": "`make lint`",
    "mypy": "`make lint`",
    "build": "makes a release: `python -m build`",
}


def never_imported(distributions_declared: set[str], *folders: str) -> set[str]:
    modules = {name for _, name, _ in outside(*folders)}
    return {one for one in distributions_declared if not any(provided(module, {one}) for module in modules)}


def test_what_is_declared_is_imported():
    for_users = REQUIRED.union(*(named(EXTRAS[extra]) for extra in EXTRAS if extra not in ("test", "dev"))) - {
        "convmedia"
    }
    for_developers = named(EXTRAS["test"]) | named(EXTRAS["dev"])
    unused = never_imported(for_users, *MAY_IMPORT) | never_imported(
        for_developers - {"convmedia"}, "tests", "benchmarks", "docs"
    )
    assert unused == set(UNNAMED)


INTERNALS = "models/keras_internals.py"
PRIVATE_MODULES = ("keras.src", "tensorflow.python", "tensorflow.lite.python", "tensorflow.core", "tensorflow.compiler")


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_access(file: str, tree: ast.Module) -> Iterator[str]:
    """Where a file reaches for a private part of what is not its own: `a._b`, `getattr(a, "_b")`, `import a._b`.

    What a file itself defines or sets on `self` is its own, and so are the modules of this package.
    """
    nodes = list(ast.walk(tree))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    stored = (node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    own |= {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"}
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name) if name in own:
                continue
            case ast.Attribute(value=ast.Name(id="os"), attr="_exit"):  # Python's own, documented
                continue
            case ast.Attribute(attr=name) if private(name):
                yield f"{file}:{node.lineno} {ast.unparse(node)}"
            case ast.Call(func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=name), *_]):
                if private(str(name)):
                    yield f"{file}:{node.lineno} {ast.unparse(node)}"


def private_imports(*folders: str) -> list[Imported]:
    def reached(one: Imported) -> bool:
        return one.name.startswith(PRIVATE_MODULES) or any(map(private, one.name.split(".")))

    return [one for one in imports(*folders) if not one.name.startswith("convmedia.") and reached(one)]


@pytest.mark.parametrize(
    "text",
    [
        "layer._layers",
        "self._keras_part",
        "super()._part()",
        'getattr(layer, "_functional", None)',
        "def f(self):\n    return self.model._nodes",
    ],
)
def test_private_access_is_recognised(text):
    assert len(list(private_access("a.py", ast.parse(text)))) == 1


@pytest.mark.parametrize("text", ["self._a = 1; self._a", "def _a(self):\n    self._a()", "a.__name__", "os._exit(0)"])
def test_what_is_ones_own_is_no_private_access(text):
    assert list(private_access("a.py", ast.parse(text))) == []


def test_only_one_module_touches_private_parts():
    files = [path for path in python_files(*MAY_IMPORT, "benchmarks") if path.relative_to(ROOT).as_posix() != INTERNALS]
    found = [private_access(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))) for path in files]
    assert list(chain.from_iterable(found)) == []
    assert {one.file for one in private_imports(*MAY_IMPORT, "benchmarks")} == {INTERNALS}


OVERRIDES = """
import importlib, inspect, pkgutil, sys
for room in sys.argv[1:]:
    package = importlib.import_module(f"convmedia.{room}")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        for cls in (one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == found.name):
            others = [base for base in cls.__mro__ if base.__module__.split(".")[0] in ("keras", "tensorflow", "torch")]
            for name in vars(cls):
                if name.startswith("_") and not name.endswith("__") and any(name in vars(base) for base in others):
                    print(f"{found.name}.{cls.__name__}.{name}")
"""


def test_only_one_module_overrides_private_methods():
    command = [sys.executable, "-c", OVERRIDES, *MAY_IMPORT]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    allowed = {
        f"convmedia.models.keras_internals.MatrixMuon.{name}" for name in ("_should_use_adamw", "_muon_update_step")
    }
    assert set(done.stdout.split()) == allowed


def test_extras_are_imported_where_they_are_used():
    on_import = [one for one in sorted(outside(*MAY_IMPORT)) if one[2]]
    assert [one for one in on_import if not provided(one[1], REQUIRED)] == []


def test_models_and_data_load_without_what_other_backends_lack():
    on_import = [one for one in sorted(outside("models", "data")) if one[2]]
    assert {name for _, name, _ in on_import} >= {"keras", "numpy"}
    assert [one for one in on_import if one[1] in NOT_ON_EVERY_MACHINE] == []


IMPORT_MODELS = """
import sys

sys.modules.update(dict.fromkeys(sys.argv[1].split()))  # to Python they are not installed
import keras
from convmedia.models.networks.catalogue import DIGITS
print(keras.backend.backend(), *(DIGITS[name]().count_params() for name in ("lenet5", "convnet")))
"""


@pytest.mark.parametrize("later", ["keras", "tensorflow, keras", "keras, tensorflow"])
def test_importing_models_registers_every_layer_that_a_file_may_hold(later):
    marked = [
        re.findall(r'register_keras_serializable\("convmedia"\)\nclass (\w+)', path.read_text())
        for path in (ROOT / "models").rglob("*.py")
    ]
    names = {name for found in marked for name in found}
    code = f"""
import convmedia.models, {later}
missing = [name for name in {sorted(names)} if keras.saving.get_registered_object("convmedia>" + name) is None]
assert not missing, missing
"""
    assert {"Answer", "FindInk", "Resize"} <= names
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_asking_whether_tensorflow_is_installed_loads_nothing():
    code = """
import sys, convmedia.models
from importlib.util import find_spec
assert find_spec("tensorflow")
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_networks_are_built_on_another_backend(backend):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_MODELS, " ".join(NOT_ON_EVERY_MACHINE)],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
        capture_output=True,
        text=True,
    )
    name, lenet5, convnet = done.stdout.split()
    assert (name, int(lenet5) < 70_000, int(convnet) <= 700_000) == (backend, True, True)


def test_a_module_is_read_in_one_go():
    lengths = {path: path.read_bytes().count(b"\n") for path in python_files(*MAY_IMPORT, "benchmarks")}
    assert {path.name: lines for path, lines in lengths.items() if lines > 400} == {}


def files() -> list[Path]:
    """Files of the project, without what tools and runs leave behind."""
    folders = [ROOT / name for name in (*MAY_IMPORT, "tests", "benchmarks", "docs", ".ci")]
    below = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return [path for path in [*ROOT.iterdir(), *below] if path.is_file()]


def test_no_file_is_large():
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in files()}
    assert {"pyproject.toml", "models/preprocessing/resize.py"} <= set(sizes)
    most = {".npz": 20e6}  # of networks that were trained on ImageNet
    assert {name: size for name, size in sizes.items() if size > most.get(Path(name).suffix, 9e6)} == {}


def test_the_wheel_stays_below_60_megabytes():
    """Nearly all of it are weights and bundled samples, deflated as a wheel deflates them."""
    inside = [path for path in files() if path.parent in (ROOT / "models/weights", ROOT / "data/samples")]
    assert 50e6 < sum(len(zlib.compress(path.read_bytes(), 6)) for path in inside) < 59.4e6


def test_nothing_is_named_that_a_user_cannot_look_up():
    words = re.compile(rb"\bissues? #?\d|(?<!of )\bcours[e]\b|/wor[k]/|\bshared/(?!data)", re.IGNORECASE)
    text = [path for path in files() if path.suffix in (".py", ".md", ".toml", ".txt", ".yml", "")]
    found = {path.relative_to(ROOT).as_posix(): words.findall(path.read_bytes()) for path in text}
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_git_ignores_none_of_the_rooms():
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    rooms = {*MAY_IMPORT, "tests", "benchmarks", "docs"}
    assert [line for line in lines if any(fnmatch(room, line.strip("/")) for room in rooms)] == []


@pytest.mark.parametrize("address", [("example.org", 80), ("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_the_tests_are_held_offline(address):
    with pytest.raises(pytest.fail.Exception, match="offline"):
        socket.create_connection(address, timeout=0.1)
