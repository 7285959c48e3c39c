"""Does a failing disk lose or spoil what was recorded? Every call that a run makes of it fails once, one in each run.

    python benchmarks/fault_injection.py [--action train --kind write ...] [--stride 1] [--offset 0]

For train, resume, predict and export the n-th open, read, write, fsync or rename on files of the run fails, n from 1 to
the last: a write leaves half of its bytes. Then all files that have their final names must be whole, what was recorded
before must be there, and the same command once more must end as one that nothing failed in. Needs a C compiler; prints
how many calls failed in how many ways, and each thing that was found wrong; 1 if there was any.
"""

import argparse
import csv
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

LIBRARY = "CONVMEDIA_FAULTS"  # names the compiled library in the environment of the process that it is loaded into
KINDS = ("open", "read", "write", "fsync", "rename")
LABELS = ["dark", "light"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--action", action="append", choices=list(ACTIONS), help="default: all")
    parser.add_argument("--kind", action="append", choices=KINDS, help="default: all")
    parser.add_argument("--stride", type=int, default=1, help="fail every so many-th call only")
    parser.add_argument("--offset", type=int, default=0, help="of the first one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if LIBRARY not in os.environ:
            return in_child(Path(folder))
        found = [
            each(Path(folder).resolve(), action, kind, options.stride, options.offset)
            for action in options.action or ACTIONS
            for kind in options.kind or KINDS
        ]
    total = sum(found, Counter())
    print(f"{total['runs']:,} calls failed, {total['wrong']} left something wrong")
    return int(total["wrong"] > 0)


def in_child(folder: Path) -> int:
    """Compile the library and run this command again with it."""
    library = folder / "faults.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), LIBRARY: str(library), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode


def each(root: Path, name: str, kind: str, stride: int, offset: int) -> Counter:
    """Fail one call after the other of a kind in an action; says and counts what came of it."""
    faults = ctypes.CDLL(os.environ[LIBRARY])
    faults.fault_count.restype = ctypes.c_long
    action, prepare = ACTIONS[name]
    before, place = root / f"{name}-before", root / "here"
    if not before.exists():
        before.mkdir()
        prepare(before)

    def run(number: int) -> tuple[str, int]:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(before, place)
        faults.fault_set(os.fsencode(place), KINDS.index(kind), ctypes.c_long(number))
        try:
            return outcome(action, place), faults.fault_count()
        finally:
            faults.fault_set(b"/nowhere", -1, ctypes.c_long(0))

    said, calls = run(0)
    assert said == "done", said
    wanted, recorded = state_of(place), state_of(before)
    counts: Counter = Counter()
    for number in range(1 + offset, calls + 1, stride):
        said, _ = run(number)
        wrong = problems(action, place, said, recorded, wanted)
        counts += Counter({"runs": 1, said.split(":")[0]: 1, "wrong": bool(wrong)})
        for problem in wrong:
            print(f"{name}, {kind} {number} of {calls}: {said}: {problem}")
    ways = ", ".join(f"{count} {way}" for way, count in counts.items() if way not in ("runs", "wrong"))
    print(f"{name}: {calls} x {kind}, {counts['runs']} failed: {ways}; {counts['wrong']} wrong", flush=True)
    return counts


def outcome(action: Callable[[Path], None], place: Path) -> str:
    """How an action ends: "done", "refused" with its one line, or "bug" with what a traceback would show."""
    from convmedia.apps.console.complaints import MACHINE
    from convmedia.data.storage.errors import InputError

    try:
        action(place)
    except InputError as error:
        return f"refused: {error}"
    except OSError as error:
        return f"refused: {error}" if error.errno in MACHINE else f"bug: {error!r}"
    except Exception as error:  # noqa: BLE001  whatever it is, it is counted and shown
        return f"bug: {error!r}"
    return "done"


def problems(action, place: Path, said: str, recorded: dict, wanted: dict) -> list[str]:
    """What is wrong after a failure, and after the same command once more."""
    found = [said] if said.startswith("bug") else []
    try:
        now = state_of(place)
    except Exception as error:  # noqa: BLE001  whatever a half file makes a reader raise
        return [*found, f"a file is half written: {error!r}"]
    found += [f"{name} was lost" for name in recorded if not kept(name, recorded[name], now.get(name))]
    again = outcome(action, place)
    if again != "done":
        return [*found, f"the next call: {again}"]
    ended = state_of(place)
    return found + [f"{name} ended otherwise" for name in wanted if not same(name, ended.get(name), wanted[name])]


def kept(name: str, before, now) -> bool:
    """Whether what was recorded is still there: the same epochs and rows, and perhaps more."""
    if name in ("history", "rows"):
        return now is not None and now[: len(before)] == before
    return now is not None


def same(name: str, one, other) -> bool:
    """Whether two states are equal; rows about files that could not be read are as good."""
    if name == "rows":
        return [row["file"] for row in one] == [row["file"] for row in other] and all(
            "error" in a or a == b for a, b in zip(one, other, strict=True)
        )
    return one == other


def state_of(place: Path) -> dict:
    """All that the final files of a folder hold, read as the commands read them."""
    from convmedia.apps.batch import results
    from convmedia.apps.runs import record as runs_record
    from convmedia.apps.runs import run_folder
    from convmedia.models import load
    from convmedia.models.export.examples import read_examples

    found: dict = {}
    if (place / "run" / "run.json").exists():
        record = runs_record.read_record(place / "run")
        found["status"] = record["status"]
        state, history, _ = run_folder.Run(place / "run", record, fresh=False).load_checkpoint()
        if history:
            found["history"] = [{k: v for k, v in row.items() if k != "seconds"} for row in history]
            found["checkpoint"] = {name: values.tobytes() for name, values in state.items()}
    if (place / "run" / "model.keras").exists():
        found["model"] = [values.tobytes() for values in load(place / "run" / "model.keras").model.get_weights()]
    if (place / "run" / "examples.npz").exists():
        found["examples"] = [example.tobytes() for example in read_examples(place / "run" / "examples.npz")]
    if (place / "run" / "history.csv").exists():
        with (place / "run" / "history.csv").open(encoding="utf-8") as file:
            found["epochs"] = [row["epoch"] for row in csv.DictReader(file)]
    if (place / "rows.jsonl").exists():
        found["rows"] = list(results.rows_in(place / "rows.jsonl"))
    if (place / "export" / "parity.json").exists():
        parity = json.loads((place / "export" / "parity.json").read_text(encoding="utf-8"))
        found["parity"] = {name: entry["model_sha256"] for name, entry in parity.items()}
        found["exported"] = {name: (place / "export" / FILES[name]).read_bytes() for name in parity}
    return found


def trained(epochs: int) -> Callable[[Path], None]:
    """An action that trains a small network, or goes on where there is a run."""

    def train(place: Path) -> None:
        import keras
        import numpy as np
        import tensorflow as tf

        from convmedia.apps.runs import opening, run_folder
        from convmedia.apps.runs import record as runs_record
        from convmedia.apps.training import trainer
        from convmedia.models.answer import PICTURE
        from convmedia.models.export.examples import write_examples
        from convmedia.models.saving.assembly import assemble

        rng = np.random.default_rng(0)
        pictures = rng.uniform(0, 255, (12, 4, 4, 3)).astype("float32")
        targets = np.eye(2, dtype="float32")[(pictures.mean((1, 2, 3)) > 127).astype(int)]
        keras.utils.set_random_seed(1)
        layers = keras.layers
        pooled = [layers.GlobalAveragePooling2D(), layers.Dense(2, "softmax", name="scores")]
        network = keras.Sequential([keras.Input((None, None, 3)), layers.Rescaling(1 / 255), *pooled])
        model = assemble(network, app="mnist", labels=LABELS, input=PICTURE, details={})
        folder = place / "run"
        there = (folder / "run.json").exists()
        run = (
            run_folder.Run(folder, runs_record.read_record(folder), False)
            if there
            else opening.new_run("mnist", folder, {})
        )
        if there and run.complete:
            return
        with run.begin(labels=LABELS):
            history = trainer.fit(
                network,
                run,
                len(pictures),
                lambda indices, seed: (tf.gather(pictures, indices), tf.gather(targets, indices)),
                epochs=epochs,
                batch_size=4,
                seed=3,
                precision="float32",
                validation=trainer.held_out(pictures, targets),
                keep=lambda: run.keep(model),
                monitor="val_loss",
                optimizer=keras.optimizers.Adam(0.05),
                loss="categorical_crossentropy",
                run_eagerly=True,
            )
            write_examples(folder / "examples.npz", [picture.astype("uint8") for picture in pictures])
            run_folder.write_text(folder / "report.html", "<html></html>")
            run.finish(history, metrics={})

    return train


def begun(place: Path) -> None:
    """A run that was killed after its first epoch."""
    trained(1)(place)
    path = place / "run" / "run.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"complete"', '"running"'), encoding="utf-8")


def pictured(place: Path) -> None:
    """A complete run, pictures, and the row of the first one."""
    import numpy as np

    from convmedia.data.images import decoding

    trained(1)(place)
    for number in range(4):
        decoding.encode(np.full((8, 8, 3), 60 * number, np.uint8), place / f"{number}.png")
    (place / "rows.jsonl").write_text('{"file": "0.png", "label": "dark"}\n', encoding="utf-8")


def predict(place: Path) -> None:
    from contextlib import redirect_stdout
    from io import StringIO

    from convmedia.apps.batch import results
    from convmedia.models import load

    predictor = load(place / "run", app="mnist")

    def rows_of(files):
        for row in predictor.predict_rows([place / file for file in files]):
            yield {**row, "file": Path(row["file"]).name}

    with redirect_stdout(StringIO()):
        results.to_file(rows_of, [Path(f"{number}.png") for number in range(4)], True, place / "rows.jsonl")


FILES = {"litert": "model.tflite", "onnx": "model.onnx"}


def export(place: Path) -> None:
    """What an export writes around its converters, which are replaced by what takes no time."""
    from convmedia.models import load
    from convmedia.models.export import exporter
    from convmedia.models.export.examples import read_examples

    def proved(kind, path, evidence, measured=None, **limits):
        path.write_bytes(kind.file.encode() * 1000)
        return {"model_sha256": predictor.digest}

    predictor = load(place / "run", app="mnist")
    whole, exporter.proved = exporter.proved, proved
    try:
        exporter.export(predictor, list(FILES), place / "export", read_examples(place / "run/examples.npz"))
    finally:
        exporter.proved = whole


def exported(place: Path) -> None:
    pictured(place)
    export(place)


ACTIONS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "train": (trained(2), lambda place: None),
    "resume": (trained(2), begun),
    "predict": (predict, pictured),
    "export": (export, exported),
}

if __name__ == "__main__":
    sys.exit(main())
