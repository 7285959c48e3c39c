"""Features of picture files: what the network gives, from the cache the second time, without what cannot be read."""

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.models.backbones.catalogue import backbone, preparation
from convmedia.models.inference import features
from convmedia.models.inference.features import Pretrained, of_files


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (90, 70 + number, 3), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").write_text("no picture")
    return [tmp_path / name for name in ("0.png", "bad.png", "1.png", "gone.png", "2.png", "0.png")]


def test_they_are_the_mean_of_the_last_maps(files, monkeypatch):
    found = of_files(Pretrained("efficientnet-lite0"), files)
    assert sorted(found.failed) == [1, 3]
    assert "no picture" in found.failed[1] and "gone.png" in found.failed[3]
    assert (found.vectors.shape, found.vectors.dtype) == ((6, 1280), np.float32)
    network = keras.Sequential([*preparation("efficientnet-lite0"), backbone("efficientnet-lite0")])
    for index in (0, 2, 4, 5):
        picture = np.asarray(Image.open(files[index]), np.float32)
        wanted = keras.ops.convert_to_numpy(network(picture[None])).mean((0, 1, 2))
        np.testing.assert_allclose(found.vectors[index], wanted, atol=0.05)  # Pillow resizes to whole levels
    assert not found.vectors[[1, 3]].any()
    monkeypatch.setattr(features.Pretrained, "_network", property(lambda self: pytest.fail("built again")))
    again = of_files(Pretrained("efficientnet-lite0"), files[::-1])
    np.testing.assert_array_equal(again.vectors, found.vectors[::-1])
    assert sorted(again.failed) == [2, 4]
