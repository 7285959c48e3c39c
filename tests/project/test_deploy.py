"""The programs of docs/deploy.md run as they stand there, without this package, and answer as it does."""

import base64
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tensorflow as tf

from convmedia.data import samples
from convmedia.models import shipped

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/deploy.md").read_text(encoding="utf-8"), flags=re.DOTALL)
SEVEN = samples.FOLDER / "seven.jpg"

ALONE = """
import sys
class Away:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("convmedia", "keras"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Away())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_command):
    """A folder that both models were exported to, with the samples."""
    folder = tmp_path_factory.mktemp("deploy")
    samples.copy(folder / "samples")
    for app, *formats in (("mnist",), ("audio", "--format", "onnx")):
        exported = run_command(app, "export", *formats, cwd=folder)
        assert exported.returncode == 0, exported.stderr
    return folder


def alone(block, folder):
    """Label and score that a program prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE + block], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    label, score = done.stdout.split()
    return label, float(score)


def predicted(app, file):
    [row] = shipped(app).predict_files([file])
    return row["label"], pytest.approx(row["score"], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "app"),
    [(("onnxruntime", "PIL"), "mnist"), (("onnxruntime", "soundfile"), "audio"), (("ai_edge_litert",), "mnist")],
    ids=["onnx", "onnx-sound", "litert"],
)
def test_a_client_answers_as_predict_does(folder, words, app):
    [block] = [block for block in BLOCKS if all(f"import {word}" in block or f"from {word}" in block for word in words)]
    assert alone(block, folder) == predicted(app, samples.FOLDER / ("seven.jpg" if app == "mnist" else "seven.wav"))


@pytest.fixture
def serving(folder):
    """The predict call of TensorFlow Serving's REST interface in row format, over the exported SavedModel."""
    loaded = tf.saved_model.load(str(folder / "mnist-export" / "saved_model"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            rows = [base64.b64decode(row["file_bytes"]["b64"]) for row in asked["instances"]]
            outputs = loaded.signatures[asked["signature_name"]](file_bytes=tf.constant(rows))
            columns = {name: output.numpy() for name, output in outputs.items()}
            assert {len(column) for column in columns.values()} == {len(rows)}  # or it refuses the row format
            answers = [{name: listed(column[place]) for name, column in columns.items()} for place in range(len(rows))]
            content = json.dumps({"predictions": answers}).encode()
            self.send_response(200 if self.path == "/v1/models/digits:predict" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def listed(values):
    return [value.decode() if isinstance(value, bytes) else float(value) for value in values]


def test_a_request_to_tensorflow_serving_sends_the_file_as_it_is(folder, run_command, serving):
    [block] = [block for block in BLOCKS if "serve_bytes" in block]
    assert "localhost:8501" in block
    answered = alone(block.replace("localhost:8501", f"127.0.0.1:{serving}"), folder)
    assert answered == predicted("mnist", SEVEN)
