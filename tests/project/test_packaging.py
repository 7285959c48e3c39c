"""The wheel holds the packages under one name and works away from the checkout; two commands set everything up."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import pytest

from convmedia.data.sources.catalogue import SOURCES

ROOT = Path(__file__).parents[2]
ROOMS = ("apps", "data", "models")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


MADE = ("__pycache__", ".*", "build", "dist", "runs", "*.egg-info", "*-export")  # by tools and runs, and hidden ones


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """What the source distribution of the tree as it is unpacks to."""
    tree, out = tmp_path_factory.mktemp("checkout") / "tree", tmp_path_factory.mktemp("sdist")
    ignored = shutil.ignore_patterns(*MADE)
    inside = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT, tree, ignore=lambda top, names: (ignored if Path(top) == ROOT else inside)(top, names))
    shutil.copy(ROOT / ".gitignore", tree)
    code = "import sys; from setuptools.build_meta import build_sdist; print(build_sdist(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, out], cwd=tree, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(out / done.stdout.splitlines()[-1]) as archive:
        archive.extractall(out, filter="data")
    [folder] = [path for path in out.iterdir() if path.is_dir()]
    return folder


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_source_distribution_holds_every_file_of_the_checkout(unpacked):
    kept = [path for path in ROOT.iterdir() if not any(fnmatch(path.name, pattern) for pattern in MADE)]
    below = [path for top in kept for path in [top, *top.rglob("*")] if path.is_file()]
    expected = {path.relative_to(ROOT) for path in below if "__pycache__" not in path.parts} | {Path(".gitignore")}
    assert expected >= {Path(name) for name in ("Makefile", "constraints.txt", "CHANGELOG.md", "tests/conftest.py")}
    assert {path for path in expected if not (unpacked / path).is_file()} == set()
    assert {path for path in expected if (unpacked / path).read_bytes() != (ROOT / path).read_bytes()} == set()


def test_the_wheel_of_the_source_distribution_is_that_of_the_checkout(unpacked, wheel, pip, tmp_path):
    pip("wheel", "--no-build-isolation", "--wheel-dir", tmp_path, unpacked)
    [built] = tmp_path.glob("*.whl")
    assert contents(built) == contents(wheel)


def test_what_a_package_index_shows_leads_nowhere_but_to_the_web(wheel):
    [text] = [content for name, content in contents(wheel).items() if name.endswith("/METADATA")]
    shown = message_from_bytes(text)
    assert shown["Description-Content-Type"] == "text/markdown"
    description = shown.get_payload()
    targets = re.findall(
        r"\]\(([^)]*)\)|(?:src|href)=[\"']?([^\"'\s>]*)|^\[[^\]]+\]:\s*(\S+)", description, re.MULTILINE
    )
    assert [found for found in map("".join, targets) if not found.startswith(("https://", "http://"))] == []
    assert "![" not in description
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {line for line in readme.splitlines() if line.startswith(("#", "    "))} <= set(description.splitlines())


def test_the_versions_of_python_are_those_that_the_makefile_accepts():
    minors = [int(found) for found in re.findall(r"Python :: 3\.(\d+)", "\n".join(PROJECT["classifiers"]))]
    lowest, highest = re.search(r"\(3, (\d+)\) <= v <= \(3, (\d+)\)", (ROOT / "Makefile").read_text("utf-8")).groups()
    assert minors == list(range(int(lowest), int(highest) + 1))
    assert PROJECT["requires-python"] == f">=3.{lowest},<3.{int(highest) + 1}"


def test_the_wheel_holds_every_file_of_the_rooms_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.startswith(f"convmedia-{PROJECT['version']}.dist-info/")}
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*") if "__pycache__" not in path.parts]
    files = [path.relative_to(ROOT).as_posix() for path in paths if path.is_file()]
    expected = {f"convmedia/{file.removeprefix('apps/public/')}" for file in files}
    assert names - metadata == expected
    assert {name.rpartition("/")[2] for name in metadata} >= {"METADATA", "entry_points.txt", "LICENSE"}


def run_installed(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, arguments)),
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_installed_command_knows_its_version(site):
    done = run_installed(site, sys.executable, site / "bin" / "convmedia", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"convmedia {PROJECT['version']}\n", "")


@pytest.mark.parametrize("how", [["convmedia"], ["-m", "convmedia.apps"]], ids=" ".join)
def test_the_installed_command_lists_the_applications(site, how):
    first = [site / "bin" / "convmedia"] if how == ["convmedia"] else how
    done = run_installed(site, sys.executable, *first, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^  mnist  ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("application", sorted(path.stem for path in ROOT.glob("apps/[!_]*.py")))
def test_an_application_runs_as_a_module_and_as_a_file(site, application):
    file = site / "convmedia" / "apps" / f"{application}.py"
    for how in (["-m", f"convmedia.apps.{application}"], [file]):
        done = run_installed(site, sys.executable, *how, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(r"^  train  ", done.stdout, re.MULTILINE)


def test_the_installed_packages_are_those_of_the_wheel(site):
    code = "import convmedia.apps, convmedia.data; print(convmedia.apps.__file__, convmedia.data.__file__, sep='\\n')"
    done = run_installed(site, sys.executable, "-c", code)
    assert done.stdout.splitlines() == [str(site / "convmedia" / room / "__init__.py") for room in ("apps", "data")]


def test_an_installed_copy_reads_with_the_shipped_weights(site):
    code = "from convmedia.models import load; import convmedia.models as m; print(m.__file__, *load('mnist').labels)"
    done = run_installed(site, sys.executable, "-c", code)
    assert done.stdout.split() == [str(site / "convmedia" / "models" / "__init__.py"), *"0123456789"], done.stderr


TRAINED_ON = {  # and not only measured on
    "mnist": ["mnist"],
    "cats-vs-dogs": ["dogs-vs-cats"],
    "audio": ["fsdd"],
    "srcnn": ["T91", "BSD200"],
    "espcn": ["T91", "BSD200"],
    "vdsr": ["T91", "BSD200"],
    "carn-m": ["T91", "BSD200"],
    "style-transfer": [],
    "efficientnet-lite0": [],
    "mobilenet-v2": [],
}


def test_every_shipped_file_says_the_licence_of_its_data_and_what_that_means():
    weights = ROOT / "models" / "weights"
    cards = {re.sub(r"_x\d$", "", path.stem) for path in weights.iterdir() if path.suffix in (".keras", ".npz")}
    assert cards == set(TRAINED_ON) == {path.stem for path in weights.glob("*.md")}
    for name, sets in TRAINED_ON.items():
        card = (weights / f"{name}.md").read_text(encoding="utf-8")
        [row] = re.findall(r"^\| licence of the data \| (.+) \|$", card, re.MULTILINE)
        assert [one for one in sets if SOURCES[one].licence not in row] == [], name
        meaning = card.partition("## What that means for you\n")[2]
        assert PROJECT["license"] in meaning and "commercial" in meaning, name


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_constraints_pin_public_releases_of_everything_that_is_asked_for():
    release = re.compile(r"\d+(\.\d+)+(\.post\d+)?")  # no +local build, no address of a file
    assert {name: version for name, version in pins().items() if not release.fullmatch(version)} == {}
    asked = [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"].values())]
    names = {re.match(r"[\w.-]+", one)[0].lower() for one in asked} - {"convmedia"}
    assert names - {name.lower() for name in pins()} == set()


@pytest.fixture
def make(tmp_path):
    """Runs `make ARGUMENTS...` on a copy that has no `.venv` yet."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=outside, check=False, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench"])
def test_every_target_sets_up_the_environment_first(make, target):
    lines = make("--dry-run", target, "PYTHON=python-of-the-user").stdout.splitlines()
    steps = [line for line in lines if re.search(r"-m venv|pip install|convmedia|pytest|ruff|benchmarks/", line)]
    assert steps[0] == "python-of-the-user -m venv .venv"
    assert re.search(r"pip install .*-c constraints\.txt -e '\.\[dev\]'$", steps[1])
    assert len(steps) > 2


def test_an_old_python_is_refused_in_one_line(make, tmp_path):
    pretend = "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[1])"
    old = tmp_path / "python"
    old.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{pretend}' \"$2\"\n")
    old.chmod(0o755)
    done = make("test", f"PYTHON={old}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("TensorFlow 2.21 runs on Python 3.11 to 3.13; received 3.9.")
    assert not (tmp_path / ".venv").exists()
