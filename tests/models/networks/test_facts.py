"""What `convmedia networks` says: of every network, as measured, and without Keras."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from convmedia.apps.cli.entry import exit_code
from convmedia.apps.verbs.networks import amount, command
from convmedia.models.backbones.rows import BACKBONES
from convmedia.models.networks.catalogue import NETWORKS
from convmedia.models.saving import network_facts as facts

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "docs" / "network_facts.py"))
FACTS = json.loads(facts.FACTS.read_text("utf-8"))
QUICK = ("mnist/lenet5", "mnist/convnet", "super-resolution/srcnn", "audio/compact", "transfer/mobilenet-v2")


def test_every_network_has_its_facts():
    ours = {f"{app}/{name}" for app, table in NETWORKS.items() for name in table}
    assert set(FACTS) == ours | {f"transfer/{name}" for name in BACKBONES} | {"style-transfer/painter"}
    assert list(FACTS) == SCRIPT["names"]()


@pytest.mark.parametrize(
    "name", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in SCRIPT["names"]()]
)
def test_facts_are_as_measured(name):
    assert SCRIPT["measured"](name) == FACTS[name]


@pytest.mark.parametrize(
    ("name", "parameters", "operations"),
    [  # of the papers, classifiers left out: their tables with 224 px, in 10^9
        ("vgg16", 14_714_688, 15.35),
        ("resnet50", 23_587_712, 3.86),
        ("mobilenet-v2", 2_257_984, 0.299 * (256 / 224) ** 2),
        ("densenet121", 7_037_504, 2.83),
        ("convnext-tiny", 27_820_128, 4.46),
    ],
)
def test_facts_are_near_what_papers_print(name, parameters, operations):
    row = FACTS[f"transfer/{name}"]
    assert row["parameters"] == parameters
    assert row["multiply_adds"] == pytest.approx(operations * 1e9, rel=0.03)


def test_receptive_fields_that_are_known():
    # Araujo, Norris, Sim 2019, "Computing receptive fields of convolutional neural networks", table of networks
    known = {"vgg16": 212, "resnet50": 483, "mobilenet": 315, "inception-v3": 1311, "inception-resnet-v2": 3039}
    found = {name: FACTS[f"transfer/{name}"]["receptive_field"] for name in known}
    assert found["vgg16"] == [212, 212] and found["mobilenet"] == [315, 315]
    assert found["inception-v3"] == [1311, 1311]


def test_where_weights_are_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / BACKBONES["vgg16"].file).write_bytes(b"12345")
    assert exit_code(command, ["--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out) if row["application"] == "transfer"}
    assert (rows["vgg16"]["weights"], rows["vgg16"]["bytes"]) == ("cache", 5)
    assert (rows["vgg19"]["weights"], rows["vgg19"]["bytes"], rows["squeezenet"]["weights"]) == (
        "missing",
        None,
        "missing",
    )
    assert rows["efficientnet-lite0"]["weights"] == "package" and rows["efficientnet-lite0"]["bytes"] > 1e6


def test_ours_are_in_the_package_or_nowhere():
    found = {f"{row['application']}/{row['name']}": row["weights"] for row in facts.rows()}
    shipped = {name for name, place in found.items() if place == "package" and not name.startswith("transfer/")}
    assert shipped == {
        *("mnist/convnet", "cats-vs-dogs/resnet", "audio/compact", "style-transfer/painter"),
        *(f"super-resolution/{name}" for name in ("srcnn", "espcn", "vdsr", "carn-m")),
    }


def test_it_answers_without_keras():
    code = (
        "import sys; from convmedia.apps.cli.entry import exit_code; from convmedia.apps.__main__ import command; "
        "code = exit_code(command, ['networks']); heavy = {'keras', 'tensorflow'} & set(sys.modules); "
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(FACTS)


@pytest.mark.parametrize(("number", "text"), [(416_520, "417 k"), (26_480_384, "26.5 M"), (3.86e9, "3.86 G"), (7, "7")])
def test_amounts_have_three_digits(number, text):
    assert amount(number) == text
