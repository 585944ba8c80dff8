"""`mtl-cuda export`: a trained network for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtl_cuda.engine.build import pick_device
from mtl_cuda.inference.export import FORMATS
from mtl_cuda.inference.options import Size
from mtl_cuda.inference.restore import restore


def run_export(path: Path, out: Path, formats: Sequence[str], size: Size | None) -> None:
    """Write a network in each format into `out`, and print what was written.

    Args:
        path: of a checkpoint or of exported weights.
        out: folder; made where it is missing.
        formats: names of `FORMATS`.
        size: height and width of the images that "torch" and "onnx" programs take; None is the
            size of the training.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: a format needs a package that is missing.
        ValueError: `size` is None, and the training had none.
    """
    restored = restore(path, pick_device("cpu"))
    data = restored.config.data
    size = size or data.size or data.crop_size
    if size is None:
        raise ValueError("--size: expected HxW, since the training scenes had no one size")
    for name in formats:
        for written in FORMATS[name](restored, out, size):
            print(f"{name}: {written} ({written.stat().st_size / 2**20:.1f} MiB)")
