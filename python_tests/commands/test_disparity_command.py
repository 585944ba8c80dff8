"""`mtl-cuda disparity` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtl_cuda.cli import main
from mtl_cuda.commands.disparity import evaluate_disparities
from mtl_cuda.data import read_image, write_png
from mtl_cuda.data.formats import encode_disparity
from mtl_cuda.data.stereo.pairs import StereoPair
from mtl_cuda.data.stereo.write import disparity_path
from mtl_cuda.data.synth import write_dataset


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "tree", 1, 1, (96, 192), seed=5)


def test_a_tree_is_matched_measured_and_left_alone_afterwards(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "numbers.json"
    arguments = ["disparity", "--dataset", str(tree), "--disparities", "64", "--confidence"]
    arguments += ["--workers", "1", "--mask-labels"]
    truth = ["--evaluate", str(tree / "disparity_gt"), "--json", str(table)]
    assert main([*arguments, *truth]) == 0
    printed = capsys.readouterr().out
    for words in ("2 pairs in", "density", "mean error", "bad-1", "bad-3", "agreement", "labelled"):
        assert words in printed
    numbers = json.loads(table.read_text())
    assert numbers["images"] == 2
    assert numbers["density"] > 0.8
    assert numbers["mae"] < 1
    assert set(numbers["by_confidence"]) >= {"checked", "labelled"}
    assert len(list((tree / "disparity_sgm").rglob("*_disparity.png"))) == 2
    assert len(list((tree / "disparity_sgm").rglob("*_confidence.png"))) == 2
    assert main(arguments) == 0
    assert "2 were there already" in capsys.readouterr().out


def test_what_could_not_be_measured_is_null(tmp_path: Path) -> None:
    nothing, table = np.full((4, 6), np.nan, np.float32), tmp_path / "numbers.json"
    write_png(disparity_path(tmp_path, "a"), encode_disparity(nothing))
    np.save(tmp_path / "truth.npy", nothing + 1)
    pair = StereoPair("a", tmp_path, tmp_path)
    evaluate_disparities([pair], tmp_path, tmp_path / "truth.npy", None, table)
    assert "NaN" not in table.read_text()
    assert json.loads(table.read_text())["mae"] is None


def test_two_pictures_with_a_camera(tree: Path, tmp_path: Path) -> None:
    left, right = (
        next((tree / f"{side}Img8bit" / "val").rglob("*.png")) for side in ("left", "right")
    )
    arguments = ["disparity", "--left", str(left), "--right", str(right)]
    arguments += ["--out", str(tmp_path / "disparity"), "--disparities", "64"]
    assert main([*arguments, "--focal", "170", "--baseline", "0.5"]) == 0
    (camera,) = (tmp_path / "camera").glob("*_camera.json")
    assert json.loads(camera.read_text())["extrinsic"]["baseline"] == 0.5


def test_what_fails_is_told_after_the_others(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side in ("left", "right"):
        picture = read_image(next((tree / f"{side}Img8bit" / "val").rglob("*.png")))
        (tmp_path / side).mkdir()
        write_png(tmp_path / side / "a.png", picture)
        write_png(tmp_path / side / "b.png", picture)
    (tmp_path / "right" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = ["--left", str(tmp_path / "left"), "--right", str(tmp_path / "right")]
    out = tmp_path / "out"
    given = ["--out", str(out), "--disparities", "64", "--workers", "1"]
    assert main(["disparity", *arguments, *given]) == 2
    assert "1 of 2 pairs have no disparities" in (error := capsys.readouterr().err)
    assert "a.png" in error
    assert [path.name for path in out.glob("*.png")] == ["b_disparity.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either --dataset, or --left and --right"),
        (["--left", "a"], "--right is missing"),
        (["--left", "a", "--right", "b", "--out", "c", "--mask-labels"], "needs --dataset"),
        (["--dataset", "a", "--focal", "5"], "go together"),
        (["--dataset", "a", "--gt-scale", "4"], "need --evaluate"),
        (["--dataset", "a", "--workers", "0"], "--workers must be at least 1"),
    ],
)
def test_arguments_that_do_not_fit(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["disparity", *arguments]) == 2
    assert message in capsys.readouterr().err
