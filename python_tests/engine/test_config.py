from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_cuda.engine.config import (
    DataConfig,
    LossConfig,
    TrainConfig,
    from_dict,
    parse_arguments,
    to_dict,
    to_yaml,
)


def test_round_trip_through_dicts(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    assert from_dict(to_dict(config)) == config


def test_round_trip_through_yaml(tiny: Callable[..., TrainConfig], tmp_path: Path) -> None:
    config = tiny(minutes=1.5, eval_every=None)
    config.loss.weighting = {"semantic": 1.0, "instance": 0.5, "depth": 2.0}
    config.loss.initial_log_variance = -1.5
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config))
    assert parse_arguments(["--config", str(file)]) == config


def test_arguments_override_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("data: {root: here, size: [8, 16]}\nrun: {steps: 5}\n")
    config = parse_arguments(["--config", str(file), "--run.steps", "7", "--data.size", "[4, 6]"])
    assert (config.data.root, config.data.size, config.run.steps) == ("here", (4, 6), 7)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("data: {root: x, size: [8, 8], rooot: y}", "rooot"),
        ("data: {root: x, size: [8, 8]}\noptimm: {power: 1}", "optimm"),
        ("data: {root: x, size: [8, 8]}\nrun: {steps: many}", "steps"),
        ("data: {root: x, size: [8]}", "size"),
        ("data: {size: [8, 8]}", "root"),
    ],
)
def test_errors_name_the_key(text: str, named: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=named) as error:
        parse_arguments(["--config", str(file)])
    assert "\n" not in str(error.value)


def test_unknown_argument_is_named() -> None:
    with pytest.raises(ValueError, match=r"optim\.speed"):
        parse_arguments(["--data.root", "x", "--data.size", "[8, 8]", "--optim.speed", "3"])


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("data", "batch_size", 0),
        ("data", "workers", -1),
        ("optim", "learning_rate", 0.0),
        ("optim", "momentum", 1.0),
        ("optim", "clip_norm", -1.0),
        ("run", "steps", 0),
        ("run", "eval_every", 0),
        ("run", "minutes", 0.0),
        ("loss", "tasks", ("semantic", "semantic")),
        ("loss", "tasks", ()),
        ("loss", "tasks", ("normals",)),
        ("loss", "likelihoods", {"normals": "laplace"}),
        ("loss", "initial_log_variance", {"normals": 0.0}),
        ("loss", "weighting", "uncertanty"),
        ("loss", "weighting_options", {"temperature": 1.0}),
        ("model", "output_scale", {"normals": 2.0}),
    ],
)
def test_values_out_of_range(
    section: str, field: str, value: object, tiny: Callable[..., TrainConfig]
) -> None:
    values = to_dict(tiny())
    values[section][field] = value
    with pytest.raises(ValueError, match=rf"{section}\.{field}"):
        from_dict(values)


def test_scenes_need_one_size() -> None:
    with pytest.raises(ValueError, match=r"data\.crop_size"):
        TrainConfig(data=DataConfig(root="x"))


@given(st.sampled_from(["softmax", "scaled_softmax"]), st.floats(-3, 3), st.integers(1, 10**6))
def test_round_trip_of_any_values(likelihood: str, start: float, steps: int) -> None:
    config = TrainConfig(
        data=DataConfig(root="x", size=(8, 8)),
        loss=LossConfig(likelihoods={"semantic": likelihood}, initial_log_variance=start),
    )
    config.run.steps = steps
    assert from_dict(to_dict(config)) == config
