"""`convmedia inspect`: what a run folder, a saved or an exported file takes and gives, labels, figures and size."""

from pathlib import Path
from typing import Annotated, Any

import typer

from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.inputs import AUTO, KERAS, exported_for
from convmedia.apps.cli.options import Json
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import table, tell

command = application("inspect", "Show what a model takes and gives.")


@command.command()
def inspect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_FILE", help="A run folder, a .keras or an exported file or folder, or a shipped name."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show what a model takes and gives, its labels, figures, size and digest; of an exported file the operators."""
    from convmedia.apps.runs.record import recorded
    from convmedia.models.formats import metadata

    exported = metadata.exported(source)
    if exported is not None:
        tell(to_json(exported, indent=2) if as_json else exported_text(exported))
        return
    facts = described(source)
    run = recorded(Path(source)) or {}
    facts.update({name: run[name] for name in ("status", "metrics", "data", "arguments", "versions") if name in run})
    if as_json:
        tell(to_json(facts, indent=2))
    else:
        show(facts)


def described(source: str) -> dict[str, Any]:
    """As `FilePredictor.describe`, and as "runtime" what `--engine-runtime auto` takes for the model. Keras is loaded
    where it alone knows a model's layers."""
    from convmedia.data.storage.files import digest
    from convmedia.models.saving.archive import Archive, Unknown
    from convmedia.models.saving.places import place

    exported = exported_for(source, None, AUTO)
    runtime = {"runtime": KERAS if exported is None else exported.runtime}
    try:
        if exported is not None:
            return exported.describe() | runtime
        path = place(source)
        return Archive(path).describe(digest(path)) | runtime
    except Unknown:
        use_backend(None)
        from convmedia.models import load

        return load(source).describe() | runtime


def show(facts: dict[str, Any]) -> None:
    """The facts for a person: one line each, then the layers as a table."""
    lines = {
        "application": facts["app"],
        "takes": takes(facts["input"]),
        "gives": gives(facts),
        "made with": ", ".join(f"{name} {value}" for name, value in facts["details"].items()),
        "parameters": f"{facts['parameters']:,}",
        "size": f"{facts['bytes']:,} bytes",
        "sha256": facts["sha256"],
        "answers with": facts["runtime"],
    }
    if "status" in facts:
        lines["status"] = facts["status"]
    lines |= {split: listed(figures) for split, figures in facts.get("metrics", {}).items()}
    lines |= {name: listed(facts[name]) for name in ("data", "versions") if name in facts}
    for name, value in lines.items():
        tell(f"{name:12} {value}")
    tell("\n" + table(["layer", "type", "parameters"], [list(layer.values()) for layer in facts["layers"]]))


def exported_text(facts: dict[str, Any]) -> str:
    """The facts of an exported file for a person."""
    said = facts["description"]
    lines = {"format": facts["format"], "size": f"{facts['bytes']:,} bytes"}
    if said is None:
        lines |= {"says": "nothing of itself: no file of this program", "takes": taken(facts["inputs"])}
    else:
        lines |= {"application": said["app"], "takes": taken(facts["inputs"]), "gives": gives(said)}
        lines |= {"made with": listed(said["details"])}
        if said.get("model_sha256"):
            lines["model sha256"] = str(said["model_sha256"])
    told = [f"{name:12} {value}" for name, value in lines.items()]
    if facts["operators"] is None:
        return "\n".join([*told, "operators    are listed where the package onnx is installed"])
    rows = [[name, str(count)] for name, count in facts["operators"].items()]
    return "\n".join([*told, "", table(["operator", "times"], rows)])


def takes(described: dict[str, Any]) -> str:
    """What goes in: kind, dtype and shape without the batch."""
    shape = ", ".join("any" if size is None else str(size) for size in described["shape"])
    return f"{described['kind']} {described['dtype']} ({shape})"


def taken(inputs: list[dict[str, Any]]) -> str:
    """What goes into an exported file, as its runtime takes it."""
    return ", ".join(takes({**one, "kind": one["name"], "shape": one["shape"][1:]}) for one in inputs)


def gives(said: dict[str, Any]) -> str:
    """What comes out; of a file that is older than the names of kinds by its labels."""
    from convmedia.models.outputs import KINDS, kind_named

    name = said.get("kind")
    if name is not None and name not in KINDS:
        return f"{name}, a kind of answer that this version does not know"
    return kind_named(name, said["labels"]).gives(said["labels"])


def listed(values: dict[str, Any]) -> str:
    """`name value` pairs in one line; numbers to six digits. What is told of each label is left to --json."""

    def said(name: str, value: Any) -> str:
        if name.endswith("_interval"):
            return " to ".join(said("", end) for end in value)
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{name} {said(name, value)}" for name, value in values.items() if name != "per_label")
