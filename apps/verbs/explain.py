"""The `explain` verb of every classifier of pictures."""

from pathlib import Path

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.early_checks import required
from convmedia.apps.cli.inputs import model_of
from convmedia.apps.console.progress import counted
from convmedia.apps.console.terminal import note, tell
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import require_layers


def explain(app: str, inputs: list[str], out: Path, model: str | None, before) -> int:
    """The `explain` verb of every classifier of pictures: filters, maps and Grad-CAM; 1 if any file failed.

    Args:
        before: gives the first filters before training of a predictor, or None where they are not known.
    """
    required(app, model)
    require_layers(model)
    use_backend(None)
    from convmedia.apps.classification.explain import explained
    from convmedia.data.images.decoding import find

    predictor = model_of(app, model)
    files = find(inputs, note)
    failed = 0
    for file, written in counted(explained(predictor, files, out, before(predictor)), len(files), "drawing"):
        failed += isinstance(written, str)
        tell(f"{shown(file)}\terror: {written}" if isinstance(written, str) else "\n".join(map(str, written)))
    return int(failed > 0)
