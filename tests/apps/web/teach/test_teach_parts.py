"""What a page that learns computes, each part against something else: heads, their files, what is left out."""

import base64
import itertools
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from convmedia.apps.web import features, teaching_folder
from convmedia.data import samples
from convmedia.data.images.decoding import resized
from convmedia.models.inference.features import Pretrained

LABELS = ["a cat", "Ü & <b>", "猫"]


@pytest.fixture
def modules(served, open_page, tmp_path):
    """Runs JavaScript, given the modules of the page's folder by name, in a real browser."""
    folder = shutil.copytree(teaching_folder.PAGE / "teach", tmp_path / "teach")
    (folder / "empty.html").write_text('<!doctype html><title>empty</title><link rel="icon" href="data:,">')
    page = open_page(f"{served(folder)}/empty.html")

    def run(script: str, argument=None):
        return page.evaluate(f"async (given) => {{ const at = (name) => import(`/${{name}}.js`); {script} }}", argument)

    return run


def drawn(n: int, labels: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features as a network's: not below 0, of unlike ranges, of classes that overlap."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % labels
    ranges = rng.uniform(0.01, 2.0, size)
    centres = rng.normal(0, 0.25, (labels, size))
    return (np.abs(rng.normal(0, 1, (n, size)) + centres[truth]) * ranges).astype(np.float32), truth


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


LEARN = """
const { learned } = await at("head");
const rows = given.rows.map((row) => Float32Array.from(row));
const began = performance.now();
const found = learned(rows, given.truth, given.labels, given.folds);
const ms = performance.now() - began;
const list = (values) => Array.from(values);
return { ...found, ms, weights: list(found.weights), bias: list(found.bias), held: found.held && list(found.held) };
"""


@pytest.mark.parametrize(("n", "labels", "size"), [(60, 3, 1280), (12, 2, 1280), (90, 4, 30), (31, 3, 31)])
def test_a_head_is_that_of_scikit_learn(modules, n, labels, size):
    rows, truth = drawn(n, labels, size)
    folds = [place // labels % 5 for place in range(n)]
    given = {"rows": rows.tolist(), "truth": truth.tolist(), "labels": labels, "folds": folds}
    found = modules(LEARN, given)
    variance = rows.var(0, dtype=np.float64)
    values = (rows - rows.mean(0, dtype=np.float64)) / np.sqrt((variance + variance.mean()) / 2)
    strength = 1 / found["penalty"]
    # Of two labels scikit-learn has one vector of weights in place of two that are each other's opposite.
    model = LogisticRegression(C=2 * strength if labels == 2 else strength, tol=1e-11, max_iter=20_000)
    decided = model.fit(values, truth).decision_function(values)
    scores = np.stack([np.zeros(n), decided], 1) if labels == 2 else decided
    ours = rows @ np.reshape(found["weights"], (size, labels)) + np.array(found["bias"])
    np.testing.assert_allclose(softmax(ours), softmax(scores / found["temperature"]), atol=1e-4)
    assert found["ms"] < 1000
    assert modules(LEARN, given)["weights"] == found["weights"]


def test_what_is_left_out_is_answered_by_what_was_learned_from_the_rest(modules):
    n, labels = 40, 2
    rows, truth = drawn(n, labels, 200)
    folds = [place // labels % 5 for place in range(n)]
    found = modules(LEARN, {"rows": rows.tolist(), "truth": truth.tolist(), "labels": labels, "folds": folds})
    variance = rows.var(0, dtype=np.float64)
    values = (rows - rows.mean(0, dtype=np.float64)) / np.sqrt((variance + variance.mean()) / 2)
    held = np.reshape(found["held"], (n, labels))
    assert found["left"] == list(range(n))
    for fold in range(5):
        rest = np.array(folds) != fold
        model = LogisticRegression(C=2 * n / (found["penalty"] * rest.sum()), tol=1e-11, max_iter=20_000)
        decided = model.fit(values[rest], truth[rest]).decision_function(values[~rest]) / found["temperature"]
        np.testing.assert_allclose(held[~rest, 1], 1 / (1 + np.exp(-decided)), atol=2e-3)


def test_scores_are_as_sure_as_they_are_right(modules):
    rows, truth = drawn(200, 2, 20, seed=3)
    truth = np.where(np.random.default_rng(4).random(200) < 0.2, 1 - truth, truth)  # a fifth cannot be known
    folds = [place // 2 % 5 for place in range(200)]
    found = modules(LEARN, {"rows": rows.tolist(), "truth": truth.tolist(), "labels": 2, "folds": folds})
    fresh, known = drawn(2000, 2, 20, seed=3)
    scores = softmax(fresh @ np.reshape(found["weights"], (20, 2)) + np.array(found["bias"]))
    flipped = np.where(np.random.default_rng(5).random(2000) < 0.2, 1 - known, known)
    assert scores.max(1).mean() == pytest.approx((scores.argmax(1) == flipped).mean(), abs=0.06)


def test_equal_contents_are_left_out_together_and_each_label_is_in_each_fold(modules):
    contents = [f"{label}-{place}" for label in range(3) for place in range(10)]
    truth = [label for label in range(3) for _ in range(10)]
    contents += [*contents[:7], "2-1"]  # copies, and one under another label
    truth += [*truth[:7], 0]
    found = modules(
        "const { folds } = await at('folds'); return folds(given.contents, given.truth);",
        {"contents": contents, "truth": truth},
    )
    assert len(set(zip(contents, found, strict=True))) == len(set(contents))
    for label, fold in itertools.product(range(3), range(5)):
        assert 1 <= sum(t == label and f == fold for t, f in zip(truth[:30], found[:30], strict=True)) <= 3


def test_digests_tell_contents_apart(modules):
    found = modules(
        "const { digest } = await at('folds');"
        "return Array.from({ length: 2000 }, (_, n) => digest(Uint8Array.of(n & 255, n >> 8, 0, 0)));"
    )
    assert len(set(found)) == 2000


WITH_HEAD = """
const { withHead } = await at("onnx_parts");
const bytes = Uint8Array.from(atob(given.file), (letter) => letter.charCodeAt(0));
const [weights, bias] = [Float32Array.from(given.weights), Float32Array.from(given.bias)];
const made = withHead(bytes, { features: "features", weights, bias, description: given.description });
let text = "";
for (const byte of made) text += String.fromCharCode(byte);
return btoa(text);
"""


def small(path: Path) -> bytes:
    """A network of features by hand, with a description of its own."""
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Gemm", ["mean", "kernel"], ["features"]),
    ]
    kernel = np.random.default_rng(0).normal(0, 1, (3, 50)).astype(np.float32)
    taken = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 50])
    graph = helper.make_graph(nodes, "colours", [taken], [given], [numpy_helper.from_array(kernel, "kernel")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.metadata_props.add(key="convmedia", value="{}")
    model.metadata_props.add(key="kept", value="yes")
    onnx.save(model, path)
    return path.read_bytes()


def test_a_head_makes_a_whole_file_of_a_network_of_features(modules, tmp_path):
    rng, content = np.random.default_rng(1), small(tmp_path / "features.onnx")
    weights, bias = rng.normal(0, 0.1, (50, 3)).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)
    description = {"labels": LABELS, "app": "transfer"}
    file = base64.b64encode(content).decode()
    head = {"weights": weights.ravel().tolist(), "bias": bias.tolist(), "description": description}
    made = base64.b64decode(modules(WITH_HEAD, {"file": file, **head}))
    model = onnx.load_from_string(made)
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == ["output_0"]
    known = {entry.key: entry.value for entry in model.metadata_props}
    assert known.keys() == {"convmedia", "kept"}
    assert LABELS[2] in known["convmedia"]
    pictures = rng.integers(0, 256, (4, 5, 6, 3), np.uint8)
    found = onnxruntime.InferenceSession(made).run(None, {"image": pictures})
    features_ = onnxruntime.InferenceSession(content).run(None, {"image": pictures})[0]
    assert len(found) == 1
    np.testing.assert_allclose(found[0], softmax(features_ @ weights + bias), atol=1e-6)


@pytest.mark.parametrize(
    ("cut", "weights", "reason"), [(100, 150, "beyond the file"), (0, 150, "no ONNX"), (None, 149, "149 weights")]
)
def test_what_is_no_network_or_no_head_is_refused(modules, tmp_path, cut, weights, reason):
    content = small(tmp_path / "features.onnx")[:cut]
    file = base64.b64encode(content).decode()
    given = {"file": file, "weights": [0.0] * weights, "bias": [0.0] * 3, "description": {"labels": LABELS}}
    with pytest.raises(Exception, match=reason):
        modules(WITH_HEAD, given)


def test_the_file_of_features_gives_what_embed_gives():
    network = Pretrained(features.NETWORK)
    session = onnxruntime.InferenceSession(features.pictures())
    for name in ("cat.jpg", "seven.jpg", "other_things.jpg"):
        picture = resized(samples.FOLDER / name, (network.row.side, network.row.side))
        found = session.run(["features"], {"image": picture[None]})[0]
        np.testing.assert_allclose(found, network.features([picture]), atol=1e-4)
