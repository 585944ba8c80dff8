"""A trained network in formats that others read."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cuda.engine.build import ScaledDeepLabV3
from mtl_cuda.engine.config import to_dict
from mtl_cuda.inference.options import Size
from mtl_cuda.inference.restore import Restored
from mtl_cuda.inference.weights import save_weights

PROGRAM, GRAPH = "model.pt2", "model.onnx"


class _InOrder(nn.Module):
    """The network with its predictions in the order of its tasks: graphs have no names in dicts."""

    def __init__(self, network: ScaledDeepLabV3, tasks: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.tasks = tuple(tasks)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        predictions = self.network(images)
        return tuple(predictions[task] for task in self.tasks)


def export_safetensors(restored: Restored, folder: Path, size: Size) -> list[Path]:
    """Weights and their description: see `mtl_cuda.inference.weights`; `size` has no part."""
    return save_weights(
        folder,
        restored.network.state_dict(),
        to_dict(restored.config),
        dataclasses.asdict(restored.info),
        restored.step,
    )


def export_torch(restored: Restored, folder: Path, size: Size) -> list[Path]:
    """model.pt2, for `torch.export.load`: from images [B, 3, *size] to predictions by task."""
    program = torch.export.export(
        restored.network, (_example(restored, size),), dynamic_shapes=({0: torch.export.Dim.AUTO},)
    )
    return [_written(folder / PROGRAM, lambda path: torch.export.save(program, path))]


def export_onnx(restored: Restored, folder: Path, size: Size) -> list[Path]:
    """model.onnx: input "images" [batch, 3, *size], an output by the name of each task.

    Raises:
        ImportError: onnx and onnxscript are missing.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the export to ONNX needs onnx and onnxscript; install them with "
            "pip install 'mtl_cuda[export]'"
        ) from error
    network = _InOrder(restored.network, restored.tasks).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(
            network,
            (_example(restored, size),),
            input_names=["images"],
            output_names=list(restored.tasks),
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    save: Any = program.save
    return [_written(folder / GRAPH, save)]


FORMATS: dict[str, Callable[[Restored, Path, Size], list[Path]]] = {
    "safetensors": export_safetensors,
    "torch": export_torch,
    "onnx": export_onnx,
}
"""By name, what writes the files of a format into a folder and returns their paths."""


def _example(restored: Restored, size: Size) -> Tensor:
    """Two images, since exporters take a batch of one for a constant."""
    return torch.zeros(2, 3, *size, device=restored.device)


def _written(path: Path, write: Callable[[str], object]) -> Path:
    """Write a file whole: under another name, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp.{path.name}")  # formats look at the ending
    try:
        write(str(temporary))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
