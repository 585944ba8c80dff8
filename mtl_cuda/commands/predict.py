"""`mtl-cuda predict`: what a trained network sees in images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mtl_cuda.engine.build import pick_device
from mtl_cuda.inference.files import find_images, predict_files
from mtl_cuda.inference.restore import restore


def run_prediction(
    checkpoint: Path,
    images: Sequence[Path],
    out: Path,
    size: tuple[int, int] | None,
    device: str,
    instances: Mapping[str, Any] | None = None,
) -> None:
    """Predict images and folders of images into `out`: see `predict_files`."""
    restored = restore(checkpoint, pick_device(device), instances)
    files = find_images(images)
    written = predict_files(restored, files, out, size)
    for _ in tqdm(written, total=len(files), unit="image", disable=None, leave=False):
        pass
    print(f"{len(files)} images: {out.resolve()}")
