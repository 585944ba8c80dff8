from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtl_cuda.data import read_png
from mtl_cuda.data.formats import decode_disparity
from mtl_cuda.inference.depth_files import SCALES, read_inverse_depth, write_inverse_depth


@pytest.mark.parametrize(("unit", "largest"), [("1/m", 0.9), ("px", 200.0)])
def test_round_trip(tmp_path: Path, unit: str, largest: float) -> None:
    values = np.random.default_rng(0).uniform(0, largest, (9, 13)).astype(np.float32)
    values[0, 0], values[1, 1] = np.nan, 0
    write_inverse_depth(tmp_path, "a.b", values, unit)
    read, found = read_inverse_depth(tmp_path / "a.b_depth.png")
    assert found == unit
    np.testing.assert_allclose(read, values, atol=SCALES[unit] / 2 * 1.001)
    np.testing.assert_array_equal(np.load(tmp_path / "a.b_depth.npy"), values)


def test_disparities_are_in_the_convention_of_cityscapes(tmp_path: Path) -> None:
    values = np.array([[0, 1 / 256, 12.5, np.nan]], np.float32)
    write_inverse_depth(tmp_path, "a", values, "px")
    stored = read_png(tmp_path / "a_depth.png")
    assert stored.tolist() == [[1, 2, 3201, 0]]
    np.testing.assert_array_equal(decode_disparity(stored), values)


def test_values_beyond_the_ends_are_cut_and_counted(tmp_path: Path) -> None:
    write_inverse_depth(tmp_path, "a", np.array([[-0.1, 2.0, np.inf]], np.float32), "1/m")
    sidecar = json.loads((tmp_path / "a_depth.json").read_text())
    assert (sidecar["below_zero"], sidecar["beyond_largest"]) == (1, 2)
    assert read_png(tmp_path / "a_depth.png").tolist() == [[1, 65535, 65535]]


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unit: expected one of px, 1/m, got 'm'"):
        write_inverse_depth(tmp_path, "a", np.zeros((2, 2), np.float32), "m")
    assert list(tmp_path.iterdir()) == []
    write_inverse_depth(tmp_path, "a", np.zeros((2, 2), np.float32), "px")
    (tmp_path / "a_depth.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a_depth\.json: not the scale"):
        read_inverse_depth(tmp_path / "a_depth.png")
