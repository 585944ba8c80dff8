"""`mtl-cuda synth`: settings of the streets from a file and from arguments."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mtl_cuda.cli import main
from mtl_cuda.commands.synth import read_settings
from mtl_cuda.data.synth import SynthConfig

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("scenes_*.yaml"))


def test_without_settings_the_defaults() -> None:
    assert read_settings(None, []) == SynthConfig()


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_settings_are_read(file: Path) -> None:
    assert read_settings(file, []) != SynthConfig()


def test_arguments_come_in_place_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "streets.yaml"
    file.write_text("texture: 0.5\nnoise: [0.02, 0.06]\nhaze: [0, 0.02]\n")
    found = read_settings(file, ["texture=0.25", "haze=1e-3,2e-2", "min_instance_pixels=4"])
    wanted = {"texture": 0.25, "noise": (0.02, 0.06), "haze": (1e-3, 2e-2)}
    assert found == replace(SynthConfig(), min_instance_pixels=4, **wanted)


def test_scenes_are_made_with_them(tmp_path: Path) -> None:
    made = ["synth", "--out", str(tmp_path / "a"), "--train", "1", "--val", "0", "--size", "32x64"]
    assert main([*made, "--workers", "1", "--set", "baseline=0.25", "noise=0,0"]) == 0
    config = json.loads((tmp_path / "a" / "synth.json").read_text())["config"]
    assert config == {**config, "baseline": 0.25, "noise": [0, 0]}
    camera = next((tmp_path / "a").glob("camera/train/synth/*.json"))
    assert json.loads(camera.read_text())["extrinsic"]["baseline"] == 0.25


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("texture", "expected NAME=VALUE"),
        ("textur=1", "unknown setting textur: did you mean texture?"),
        ("texture=much", "texture: expected a number such as 1.0, got 'much'"),
        ("texture=1,2", "texture: expected a number such as 1.0, got [1, 2]"),
        ("noise=0.1", "noise: expected a pair of numbers"),
        ("noise=0.1,a", "noise: expected a pair of numbers"),
        ("noise=0.1,0.2,0.3", "noise must be a range (low, high)"),
        ("noise=0.2,0.1", "noise must be a range (low, high)"),
        ("park=2", "park must lie in 0.0..1.0, got 2"),
        ("min_instance_pixels=2.5", "min_instance_pixels: expected a whole number"),
    ],
)
def test_settings_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, told: str
) -> None:
    assert main(["synth", "--out", str(tmp_path / "a"), "--set", setting]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [("a: [", "no YAML"), ("- 1", "expected lines such as"), ("yaw: true", "expected a number")],
)
def test_files_that_cannot_be(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "streets.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=told):
        read_settings(file, [])
