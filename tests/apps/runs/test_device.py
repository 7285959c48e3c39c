"""What a training computes on is said and recorded; a GPU without its libraries is not silently left idle."""

import json
import tomllib
from pathlib import Path

import keras
import pytest

from convmedia.apps.batch import results
from convmedia.apps.runs import device, opening

EXTRAS = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for cached in (device.device, device.announce):
        cached.cache_clear()
    yield
    for cached in (device.device, device.announce):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("seen", "said"), [([], "CPU"), (["NVIDIA H100"], "NVIDIA H100"), (["NVIDIA H100"] * 2, "2 x NVIDIA H100")]
)
def test_the_device_is_said_once_and_recorded(tmp_path, monkeypatch, capsys, seen, said):
    monkeypatch.setattr(device, f"with_{keras.backend.backend()}", lambda: seen)
    monkeypatch.setattr(device, "idle_gpu", lambda: False)
    for name in "ab":
        with opening.new_run("test", tmp_path / name, {}).begin():
            assert json.loads((tmp_path / name / "run.json").read_text())["device"] == said
    assert capsys.readouterr().err == f"training on {said} with {keras.backend.backend()}\n"
    assert results.added(lambda files: [], [], tmp_path / "rows.jsonl")["device"] == said


@pytest.mark.parametrize("file", ["dev/nvidia0", "proc/driver/nvidia/gpus/0000:01:00.0"])
def test_a_gpu_that_the_backend_does_not_see_is_told(tmp_path, monkeypatch, capsys, file):
    monkeypatch.setattr(device, f"with_{keras.backend.backend()}", list)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert not device.idle_gpu(tmp_path)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    assert device.idle_gpu(tmp_path)
    idle = device.idle_gpu
    monkeypatch.setattr(device, "idle_gpu", lambda: idle(tmp_path))
    device.announce()
    assert "NVIDIA GPU that tensorflow cannot use; run: pip install" in capsys.readouterr().err
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not device.idle_gpu()


def test_what_is_to_be_installed_is_an_extra():
    for backend, library in (("tensorflow", "tensorflow[and-cuda]"), ("jax", "jax[cuda12]")):
        assert [one.partition(">")[0] for one in EXTRAS[device.EXTRA[backend]]] == [library]
