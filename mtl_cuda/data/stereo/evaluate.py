"""How far disparities are from the truth, or from those of another source."""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.formats import decode_disparity
from mtl_cuda.data.io import read_png

BAD = (1, 2, 3)
"""Errors in pixels beyond which a disparity counts as bad."""
_ENDINGS = ("_disparity.png", ".png", ".npz", ".npy")


@dataclass
class DisparityErrors:
    """Errors pooled over the pixels of many images; add images by :meth:`update`."""

    pixels: int = 0
    found: int = 0  # pixels with a disparity
    known: int = 0  # pixels with a true one
    both: int = 0
    total_error: float = 0.0
    bad: tuple[int, ...] = (0,) * len(BAD)

    def update(self, disparity: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]) -> None:
        """Add the pixels of one image, or any selection of them.

        Args:
            disparity: in pixels, NaN = none.
            truth: of the same shape, NaN = unknown.

        Raises:
            ValueError: the shapes differ.
        """
        if disparity.shape != truth.shape:
            raise ValueError(f"disparity is {disparity.shape}, truth is {truth.shape}")
        found, known = ~np.isnan(disparity), ~np.isnan(truth)
        both = found & known
        errors = np.abs(disparity[both].astype(np.float64) - truth[both])
        self.pixels += disparity.size
        self.found += int(found.sum())
        self.known += int(known.sum())
        self.both += int(both.sum())
        self.total_error += float(errors.sum())
        self.bad = tuple(n + int((errors > limit).sum()) for n, limit in zip(self.bad, BAD))

    def results(self) -> dict[str, float]:
        """The numbers by name; NaN where there is nothing to divide by.

        "density": share of all pixels with a disparity; "truth_density": the same of the truth;
        "density_where_known": share of the pixels with a true disparity that have one here.
        Over pixels where both are valid: "mae" in pixels; "bad_1", "bad_2", "bad_3": share with an
        error above so many pixels; "agreement": share within one pixel.
        """
        bad = {f"bad_{limit}": _share(count, self.both) for limit, count in zip(BAD, self.bad)}
        return {
            "density": _share(self.found, self.pixels),
            "truth_density": _share(self.known, self.pixels),
            "density_where_known": _share(self.both, self.known),
            "mae": _share(self.total_error, self.both),
            **bad,
            "agreement": 1 - bad["bad_1"],
        }


def read_truth(path: Path, scale: float | None = None) -> npt.NDArray[np.float32]:
    """Read true disparities in pixels, NaN where they are unknown.

    - .npz or .npy: numbers [H, W] in pixels, infinite or NaN = unknown (an .npz holds one array);
    - a 16-bit PNG: Cityscapes' format, d = (p - 1) / 256, 0 = unknown;
    - any one-channel PNG with `scale`: d = p / scale, 0 = unknown (Middlebury 2003: 4; KITTI: 256).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds something else, or `scale` is missing or not positive.
    """
    if scale is not None and not 0 < scale < math.inf:
        raise ValueError(f"gt-scale must be positive, got {scale}")
    if path.suffix.lower() in (".npz", ".npy"):
        return _read_numpy(path)
    stored = read_png(path)
    if scale is not None:
        disparity = stored.astype(np.float32) / np.float32(scale)
        disparity[stored == 0] = np.nan
        return disparity
    if stored.dtype != np.uint16:
        raise ValueError(f"{path} has 8 bits: give the values per pixel of disparity (--gt-scale)")
    return decode_disparity(stored)


def find_truth(folder: Path, name: str) -> Path | None:
    """The truth of the pair `name`: FOLDER/NAME with one of the known endings."""
    paths = (folder / (name + ending) for ending in _ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def _read_numpy(path: Path) -> npt.NDArray[np.float32]:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.lib.npyio.NpzFile):
            with content:
                if len(content.files) != 1:
                    raise ValueError(f"expected one array, got {', '.join(content.files)}")
                content = content[content.files[0]]
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from error
    if content.ndim != 2 or content.dtype.kind not in "fiu":
        raise ValueError(f"{path}: expected numbers [H, W], got {content.dtype} {content.shape}")
    disparity = content.astype(np.float32)
    disparity[~np.isfinite(disparity)] = np.nan
    return disparity


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.nan
