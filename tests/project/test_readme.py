"""The README's Python runs as it stands there, and answers as the package does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from convmedia.data import samples

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def expected(run_command):
    answer = run_command("mnist", "predict", samples.FOLDER / "seven.jpg", "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)[0]


def test_the_old_generators_line_works_on_a_folder(tmp_path):
    block = next(block for block in BLOCKS if "flow_from_directory" in block)
    for label, shade in (("cat", 51), ("dog", 204)):
        (tmp_path / "photos" / "train" / label).mkdir(parents=True)
        for name in "ab":
            Image.new("RGB", (20, 30), (shade,) * 3).save(tmp_path / "photos" / "train" / label / f"{name}.png")
    shown = "pictures, labels = batches[0]; print(pictures.shape, sorted(zip(pictures[:, 0, 0, 0].tolist(), labels)))"
    process = subprocess.run(
        [sys.executable, "-c", block + shown], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "(4, 150, 150, 3)" in process.stdout
    assert process.stdout.count("0.2000") == 2  # 51 / 255, the cats


def test_the_python_answers_as_the_command_does(expected, tmp_path):
    samples.copy(tmp_path / "samples")
    [block] = [block for block in BLOCKS if "seven.jpg" in block]
    process = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    label, score = process.stdout.split()
    assert label == expected["label"] == "7"
    assert float(score) == pytest.approx(expected["score"], abs=1e-4)


@pytest.mark.parametrize("name", re.findall(r"\]\(([\w/.-]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
def test_every_local_link_leads_somewhere(name):
    assert (ROOT / name).exists()
