"""KServe: an InferenceService that has Triton serve a model repository by the Open Inference Protocol (V2)."""

import json
from pathlib import Path
from typing import Any

from convmedia.models.servers import triton
from convmedia.models.servers.served import Served

STORAGE = "pvc://models"  # to be replaced by where the repository is put


def start(folder: Path) -> str:
    """The command that hands the service to a cluster."""
    return (
        f"copy {folder}/repository to where the cluster reads it, name that in storageUri ({STORAGE}), then "
        f"kubectl apply -f {folder}/inference-service.yaml"
    )


def write(folder: Path, served: Served) -> None:
    """Write `inference-service.yaml`, the `repository/` that its storage is to hold, and `request.json`."""
    triton.write(folder / "repository", served)
    said = json.dumps(service(served.name), indent=2)  # which is YAML, too
    (folder / "inference-service.yaml").write_text(f"{said}\n", encoding="utf-8")
    (folder / "request.json").write_text(json.dumps(request(served)), encoding="utf-8")


def service(name: str) -> dict[str, Any]:
    """An InferenceService (serving.kserve.io/v1beta1); storage below `/mnt/models` is Triton's repository."""
    model = {"modelFormat": {"name": "triton"}, "protocolVersion": "v2", "runtime": "kserve-tritonserver"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": {**model, "storageUri": STORAGE}}},
    }


def request(served: Served) -> dict[str, Any]:
    """The body of a first request to `/v2/models/MODEL/infer`."""
    inputs = [
        {
            "name": name,
            "shape": list(values.shape),
            "datatype": triton.TYPES[values.dtype.name],
            "data": values.ravel().tolist(),
        }
        for name, values in served.request.items()
    ]
    return {"inputs": inputs}
