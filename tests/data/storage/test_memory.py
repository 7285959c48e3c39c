"""Memory that is used again."""

import os
import subprocess
import sys

import pytest

MAPS = """
import resource
import convmedia.models.registered
import tensorflow as tf
maps = tf.zeros((1, 512, 512, 48))
step = tf.function(lambda x: tf.concat([x, x], -1))
step(maps)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    step(maps)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow  # a process of its own: TensorFlow reads the setting once
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts page faults")
def test_a_step_takes_the_memory_of_the_one_before_it() -> None:
    """Three steps of 100 MB would take 73,728 new pages of 4 KiB."""
    given = {name: value for name, value in os.environ.items() if name != "TF_CPU_ALLOCATOR_USE_BFC"}
    said = subprocess.run([sys.executable, "-c", MAPS], env=given, capture_output=True, text=True, check=True)
    assert int(said.stdout) < 1000


PICTURES = """
import io
import resource
from PIL import Image
from convmedia.data.images import decoding
from convmedia.data.storage.parallel import in_order
file = io.BytesIO()
Image.effect_noise((500, 375), 50).convert("RGB").save(file, "JPEG")
list(in_order(decoding.decode, [file.getvalue()]))
decoding.decode(file.getvalue())
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    decoding.decode(file.getvalue())
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts page faults of glibc")
def test_a_picture_takes_the_memory_of_the_one_before_it() -> None:
    """Each of twenty pictures would take some hundred new pages of 4 KiB."""
    own = ("MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
    given = {name: value for name, value in os.environ.items() if name not in own}
    said = subprocess.run([sys.executable, "-c", PICTURES], env=given, capture_output=True, text=True, check=True)
    assert int(said.stdout) < 400
