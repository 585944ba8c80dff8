"""Inverse depth in files: a 16-bit PNG with its scale in a JSON file, and the numbers as npy."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import read_png, write_bytes, write_png

SCALES = {"px": 2.0**-8, "1/m": 2.0**-16}
"""By unit, what one step of a PNG's values stands for.

Disparities in pixels have the scale of Cityscapes' disparity files. Inverse depths in 1/m reach up
to 1 (a metre away) in steps of 0.000015, which are 0.15 % of the distance at 100 m.
"""

_LARGEST = np.iinfo(np.uint16).max - 1


def write_inverse_depth(
    folder: Path, name: str, values: npt.NDArray[np.float32], unit: str
) -> None:
    """Write NAME_depth.png, NAME_depth.json and NAME_depth.npy.

    The PNG, uint16, holds p = round(value / scale) + 1, and 0 where the value is NaN: for
    disparities the convention of Cityscapes. Values below 0 (farther than infinity) are stored as
    0, those beyond the end as the largest; the JSON file counts both. The npy file has the values
    as they are, float32.

    Args:
        folder: that is there.
        name: of the image.
        values: float [H, W], in `unit`; NaN is invalid.
        unit: "1/m" or "px".

    Raises:
        ValueError: another unit.
        OSError: a file cannot be written.
    """
    if unit not in SCALES:
        raise ValueError(f"unit: expected one of {', '.join(SCALES)}, got {unit!r}")
    scale = SCALES[unit]
    valid = ~np.isnan(values)
    steps = np.rint(np.where(valid, values, 0).astype(np.float64) / scale)
    stored = np.where(valid, np.clip(steps, 0, _LARGEST) + 1, 0).astype(np.uint16)
    sidecar: dict[str, Any] = {
        "unit": unit,
        "scale": scale,
        "formula": "value = (png - 1) * scale",
        "invalid": 0,
        "below_zero": int((steps < 0).sum()),
        "beyond_largest": int((steps > _LARGEST).sum()),
    }
    array = io.BytesIO()
    np.save(array, values.astype(np.float32, copy=False))
    write_bytes(folder / f"{name}_depth.npy", array.getvalue())
    write_bytes(folder / f"{name}_depth.json", json.dumps(sidecar, indent=1).encode() + b"\n")
    write_png(folder / f"{name}_depth.png", stored)


def read_inverse_depth(path: str | os.PathLike[str]) -> tuple[npt.NDArray[np.float32], str]:
    """Read NAME_depth.png as the JSON file beside it says.

    Returns:
        float32 [H, W], NaN = invalid, and the unit, "1/m" or "px".

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: one of them is damaged; names it.
    """
    stored = read_png(path)
    sidecar = Path(path).with_suffix(".json")
    try:
        content = json.loads(sidecar.read_bytes())
        scale, unit = float(content["scale"]), str(content["unit"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{sidecar}: not the scale of an inverse depth: {error}") from error
    values = (stored.astype(np.float32) - 1) * np.float32(scale)
    values[stored == 0] = np.nan
    return values, unit
