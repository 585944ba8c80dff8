"""Disparity files for many pairs: which belong together, what is written, what it is worth."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mtl_cuda.data import CityscapesDataset, read_png, write_png
from mtl_cuda.data.formats import decode_disparity, encode_disparity, read_camera
from mtl_cuda.data.labels import LABELS
from mtl_cuda.data.sgm import Confidence, Match, SgmSettings
from mtl_cuda.data.stereo import match as match_module
from mtl_cuda.data.stereo import write as write_module
from mtl_cuda.data.stereo.cameras import write_cameras
from mtl_cuda.data.stereo.evaluate import DisparityErrors, find_truth, read_truth
from mtl_cuda.data.stereo.match import match_views
from mtl_cuda.data.stereo.options import StereoOptions
from mtl_cuda.data.stereo.pairs import StereoPair, find_dataset_pairs, find_pairs
from mtl_cuda.data.stereo.write import (
    SETTINGS,
    Outcome,
    confidence_path,
    disparity_path,
    write_disparities,
)
from mtl_cuda.data.synth import write_dataset

OPTIONS = StereoOptions(SgmSettings(32))
IDS = {label.name: label.id for label in LABELS}


def shifted(pixels: int, shape: tuple[int, int] = (48, 160)) -> tuple[Any, Any]:
    """Two views of a textured wall, so many pixels apart."""
    wide = np.random.default_rng(0).integers(0, 256, (shape[0], shape[1] + pixels, 3), np.uint8)
    return wide[:, : shape[1]].copy(), wide[:, pixels:].copy()


def folders(root: Path, names: tuple[str, ...] = ("a", "deep/b"), pixels: int = 9) -> Path:
    left, right = shifted(pixels)
    for side, picture in (("left", left), ("right", right)):
        for name in names:
            path = root / side / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, picture)
    return root


def pairs_of(root: Path) -> list[StereoPair]:
    return find_pairs(root / "left", root / "right")


def write(root: Path, **options: Any) -> list[Outcome]:
    given = options.pop("options", OPTIONS)
    return list(write_disparities(pairs_of(root), root / "out", given, **options))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated Cityscapes tree."""
    return write_dataset(tmp_path_factory.mktemp("data") / "tree", 1, 2, (96, 192), seed=5)


def test_pairs_of_folders_and_files(tmp_path: Path) -> None:
    folders(tmp_path)
    found = pairs_of(tmp_path)
    assert [pair.name for pair in found] == ["a", "deep/b"]
    assert found[1].right == tmp_path / "right" / "deep" / "b.png"
    single = find_pairs(tmp_path / "left" / "a.png", tmp_path / "right" / "a.png")
    assert [pair.name for pair in single] == ["a"]


def test_pairs_that_do_not_fit(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "right" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 left pictures .*a\.png"):
        pairs_of(tmp_path)
    with pytest.raises(FileNotFoundError, match="left: there is no"):
        find_pairs(tmp_path / "nowhere", tmp_path / "right")
    with pytest.raises(ValueError, match="two files or two folders"):
        find_pairs(tmp_path / "left" / "a.png", tmp_path / "right")
    shutil.copy(tmp_path / "left" / "a.png", tmp_path / "left" / "a_leftImg8bit.png")
    with pytest.raises(ValueError, match="have one name"):
        pairs_of(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no PNG or JPEG"):
        find_pairs(tmp_path / "empty", tmp_path / "right")


def test_files_hold_what_was_found_and_the_first_columns_too(tmp_path: Path) -> None:
    folders(tmp_path)
    outcomes = write(tmp_path, confidence=True)
    assert [outcome.error for outcome in outcomes] == [None, None]
    left, right = shifted(9)
    expected = match_views(left, right, OPTIONS)
    stored = read_png(disparity_path(tmp_path / "out", "deep/b"))
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, encode_disparity(expected.disparity))
    read = decode_disparity(stored)  # sixteenths of a pixel are whole numbers of 1/256
    np.testing.assert_allclose(read, expected.disparity, atol=1 / 512)
    assert (np.abs(read[:, 12:] - 9) < 0.5).mean() > 0.9
    assert np.isfinite(read[:, :32]).mean() > 0.6  # which num_disparities columns would cost
    trusted = read_png(confidence_path(tmp_path / "out", "deep/b"))
    np.testing.assert_array_equal(trusted, expected.confidence)
    assert outcomes[0].valid == pytest.approx(np.isfinite(expected.disparity).mean())


def test_what_is_there_is_skipped_and_what_is_damaged_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders(tmp_path, ("a", "b", "c"))
    write(tmp_path)
    a, b = (disparity_path(tmp_path / "out", name) for name in "ab")
    a.write_bytes(a.read_bytes()[:40])
    b.unlink()
    calls = []
    original = write_module.match_views
    monkeypatch.setattr(
        write_module, "match_views", lambda *args: calls.append(1) or original(*args)
    )
    assert [outcome.skipped for outcome in write(tmp_path)] == [False, False, True]
    assert len(calls) == 2
    assert all(outcome.skipped for outcome in write(tmp_path))
    # Confidences are asked for, and are not there yet.
    assert not any(outcome.skipped for outcome in write(tmp_path, confidence=True))
    assert not any(outcome.skipped for outcome in write(tmp_path, overwrite=True))


def test_other_options_and_other_sources_are_not_mixed(tmp_path: Path) -> None:
    folders(tmp_path)
    write(tmp_path)
    other = StereoOptions(SgmSettings(48))
    with pytest.raises(ValueError, match=r"num_disparities 32, now 48.*--overwrite"):
        write(tmp_path, options=other)
    assert all(outcome.error is None for outcome in write(tmp_path, options=other, overwrite=True))
    assert json.loads((tmp_path / "out" / SETTINGS).read_text())["sgm"]["num_disparities"] == 48
    (tmp_path / "out" / SETTINGS).unlink()
    with pytest.raises(ValueError, match="another source"):
        write(tmp_path)


def test_a_folder_without_disparities_takes_other_options(tmp_path: Path) -> None:
    pair = find_pairs(*(folders(tmp_path, ("a",)) / side for side in ("left", "right")))
    whole = pair[0].right.read_bytes()
    pair[0].right.write_bytes(whole[:40])
    assert write(tmp_path)[0].error
    pair[0].right.write_bytes(whole)
    assert write(tmp_path, options=StereoOptions(SgmSettings(48)))[0].error is None


def test_a_pair_that_does_not_match_leaves_the_others(tmp_path: Path) -> None:
    folders(tmp_path, ("a", "b", "c"))
    write_png(tmp_path / "right" / "a.png", shifted(9, (48, 150))[0])
    (tmp_path / "left" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    a, b, c = write(tmp_path, workers=2)
    assert "160 x 48" in str(a.error)
    assert "150 x 48" in str(a.error)
    assert "b.png" in str(b.error)
    assert c.error is None
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["c_disparity.png"]


def test_labels_mask_what_is_no_scene_and_tell_the_sky(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array(
        [[IDS["sky"], IDS["ego vehicle"], IDS["rectification border"], IDS["out of roi"], 7]],
        np.uint8,
    )
    five = np.full((1, 5), 5, np.float32)
    checked = np.full((1, 5), Confidence.CHECKED, np.uint8)
    monkeypatch.setattr(match_module, "match", lambda *_: Match(five.copy(), checked.copy()))
    view, nan = np.zeros((1, 5, 3), np.uint8), np.nan

    def masked(sky: str) -> Match:
        return match_views(view, view, replace(OPTIONS, mask_labels=True, sky=sky), labels)

    for sky, disparity, confidence in (
        ("far", 0, Confidence.LABELLED),
        ("invalid", nan, Confidence.INVALID),
        ("matched", 5, Confidence.CHECKED),
    ):
        found = masked(sky)
        np.testing.assert_array_equal(found.disparity, [[disparity, nan, nan, nan, 5]])
        assert found.confidence.tolist() == [[confidence, 0, 0, 0, Confidence.CHECKED]]
    np.testing.assert_array_equal(match_views(view, view, OPTIONS, labels).disparity, five)
    with pytest.raises(ValueError, match="label ids"):
        match_views(view, view, replace(OPTIONS, mask_labels=True), labels[:, :4])


@pytest.mark.parametrize("shape", [(48, 160), (47, 159)])
def test_half_resolution_gives_disparities_of_the_whole(shape: tuple[int, int]) -> None:
    left, right = (view.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]] for view in shifted(5))
    found = match_views(left, right, StereoOptions(SgmSettings(32), half=True))
    assert found.disparity.shape == found.confidence.shape == shape
    assert (np.abs(found.disparity[:, 24:] - 10) < 0.75).mean() > 0.9


def test_the_trainer_reads_the_result(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(tree, root)
    pairs = find_dataset_pairs(root, ["val"])
    assert all(pair.labels is not None and pair.camera is not None for pair in pairs)
    options = StereoOptions(SgmSettings(64), mask_labels=True)
    outcomes = list(write_disparities(pairs, root / "disparity_sgm", options))
    assert [outcome.error for outcome in outcomes] == [None, None]
    found = CityscapesDataset(root, "val", disparity="disparity_sgm")
    exact = CityscapesDataset(root, "val", disparity="disparity_gt")
    for index in range(2):
        ours, truth = (source.scene(index).inverse_depth for source in (found, exact))
        both = np.isfinite(ours) & np.isfinite(truth)
        assert both.mean() > 0.8
        assert np.median(np.abs(ours[both] - truth[both])) < 0.005  # 1/m
        sky = found.scene(index).semantic == 10
        assert (ours[sky] == 0).all()
    assert [pair.name.split("/")[0] for pair in find_dataset_pairs(root)] == ["train"] + ["val"] * 2


def test_cameras_are_written_and_not_overwritten(tmp_path: Path) -> None:
    pairs = pairs_of(folders(tmp_path))
    folder = tmp_path / "camera"
    assert write_cameras(pairs, folder, None) == 0
    assert write_cameras(pairs, folder, (500.0, 0.2)) == 2
    camera = read_camera(folder / "a_camera.json")
    assert (camera.fx, camera.baseline) == (500.0, 0.2)
    assert write_cameras(pairs, folder, (500.0, 0.2)) == 2
    with pytest.raises(ValueError, match="holds another camera"):
        write_cameras(pairs, folder, (600.0, 0.2))
    assert write_cameras(pairs, folder, (600.0, 0.2), overwrite=True) == 2
    assert read_camera(folder / "a_camera.json").fx == 600.0


def array(*values: float) -> npt.NDArray[np.float32]:
    return np.array([values], np.float32)


def test_errors_by_hand() -> None:
    nan = np.nan
    errors = DisparityErrors()
    errors.update(array(1, 2, nan, 4, 5), array(1, 3.5, 3, nan, 8.5))
    errors.update(array(10), array(8))  # two pixels are not more than two
    results = errors.results()
    assert results["density"] == 5 / 6
    assert results["truth_density"] == 5 / 6
    assert results["density_where_known"] == 4 / 5
    assert results["mae"] == pytest.approx((0 + 1.5 + 3.5 + 2) / 4)
    assert [results[f"bad_{limit}"] for limit in (1, 2, 3)] == [3 / 4, 1 / 4, 1 / 4]
    assert results["agreement"] == 1 / 4
    with pytest.raises(ValueError, match="truth is"):
        errors.update(array(1), array(1, 2))
    assert np.isnan(DisparityErrors().results()["mae"])


def test_truth_in_every_format(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", array(1.5, np.inf))
    np.save(tmp_path / "b.npy", array(1.5, np.nan))
    write_png(tmp_path / "c_disparity.png", encode_disparity(array(1.5, np.nan)))
    write_png(tmp_path / "d.png", np.array([[6, 0]], np.uint8))
    for name, scale in (("a", None), ("b", None), ("c", None), ("d", 4.0)):
        path = find_truth(tmp_path, name)
        assert path is not None
        np.testing.assert_array_equal(read_truth(path, scale), array(1.5, np.nan))
    assert find_truth(tmp_path, "e") is None
    with pytest.raises(ValueError, match="--gt-scale"):
        read_truth(tmp_path / "d.png")
    with pytest.raises(ValueError, match="gt-scale must be positive"):
        read_truth(tmp_path / "d.png", 0.0)
    np.savez(tmp_path / "two.npz", array(1), array(2))
    with pytest.raises(ValueError, match="expected one array"):
        read_truth(tmp_path / "two.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    for name, damaged in (("cut", whole[:99]), ("flipped", whole[:160] + b"!" + whole[161:])):
        (tmp_path / f"{name}.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{name}\.npz: "):
            read_truth(tmp_path / f"{name}.npz")
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"expected numbers \[H, W\]"):
        read_truth(tmp_path / "cube.npy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sgm": SgmSettings(272)}, "at most"),
        ({"sgm": SgmSettings(48), "half": True}, "multiple of 32"),
        ({"sgm": SgmSettings(32), "sky": "blue"}, "sky must be one of"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StereoOptions(**options)
