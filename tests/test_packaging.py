"""The wheel holds the packages under one name and works away from the checkout; two commands set everything up."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("apps", "data", "models")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pip(*arguments: object) -> None:
    """Pip without an index: what is asked of it needs none."""
    command = [
        sys.executable,
        "-m",
        "pip",
        *map(str, arguments),
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the tree as it is, built from a copy so that the tree stays as it is."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    pip("wheel", "--no-build-isolation", "--wheel-dir", out, tree)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """A folder that the wheel is installed to, away from the checkout."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--target", folder, wheel)
    return folder


def test_the_wheel_holds_every_file_of_the_rooms_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.startswith(f"convmedia-{PROJECT['version']}.dist-info/")}
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*") if "__pycache__" not in path.parts]
    expected = {f"convmedia/{path.relative_to(ROOT).as_posix()}" for path in paths if path.is_file()}
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
