"""Keys that a configuration does not have, and the files that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtl_cuda.data import CAMVID_INFO, CITYSCAPES_INFO
from mtl_cuda.engine.build import build_network, build_tasks
from mtl_cuda.engine.config import from_dict, parse_arguments
from mtl_cuda.engine.config.keys import KEYS

ROOT = "data: {root: x, size: [8, 8]}\n"
CONFIGS = [
    file
    for file in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
    if not file.name.startswith("scenes_")  # settings of mtl-cuda synth
]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {root: x, size: [8, 8], rooot: y}", "data.rooot: did you mean data.root?"),
        ("optim: {learning_rat: 1}", "optim.learning_rat: did you mean optim.learning_rate?"),
        ("run: {stepz: }", "run.stepz: did you mean run.steps?"),
        ("loss: {seed: 3}", "loss.seed: did you mean run.seed?"),
        ("optimm:", "optimm: did you mean optim?"),
        ("modle: {width: 1}", "modle: did you mean model?"),
        ("learning_rate: 2", "learning_rate: did you mean optim.learning_rate?"),
        ("optim.lerning_rate: 2", "optim.lerning_rate: did you mean optim.learning_rate?"),
        ("optim:", "optim: expected keys of this section, got None"),
        ("optim: 3", "optim: expected keys of this section, got 3"),
        ("optim: {learning_rate: fast}", "optim.learning_rate: Expected a float. Got value: fast"),
        ("run: {precision: float8}", "run.precision: Expected a Literal['float32', 'bfloat16'"),
        ("run: {compile: perhaps}", "run.compile: Expected a bool. Got value: perhaps"),
    ],
)
def test_errors_name_the_key_and_the_nearest(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text if text.startswith("data") else ROOT + text)
    for arguments in (["--config", str(file)], [f"--config={file}"]):
        with pytest.raises(ValueError, match="configuration") as error:
            parse_arguments(arguments)
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("argument", "nearest"),
    [
        ("--data.rooot", "data.root"),
        ("--optim.learn", "optim.learning_rate"),
        ("--confg", "config"),
        ("--steps", "run.steps"),
        ("--data.size+", "data.size"),
    ],
)
def test_arguments_are_not_guessed(argument: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"did you mean {nearest}\?"):
        parse_arguments(["--data.root=x", "--data.size=[8,8]", argument, "1"])


def test_keys_of_mappings_are_free() -> None:
    start = ["--data.root=x", "--data.size=[8,8]"]
    config = parse_arguments([*start, "--model.output_scale.depth", "2"])
    assert config.model.output_scale == {"depth": 2.0}


def test_dicts_are_checked_alike() -> None:
    with pytest.raises(ValueError, match=r"run\.sede: did you mean run\.seed\?"):
        from_dict({"data": {"root": "x", "size": [8, 8]}, "run": {"sede": 1}})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["--run.compile=true", "--model.checkpointing=true"], r"run\.compile.*checkpointing"),
        (["--run.precision=float16", "--loss.weighting=gradnorm"], r"run\.precision.*gradnorm"),
        (["--optim.ema_decay=1"], r"optim\.ema_decay.*less than 1"),
        (["--optim.accumulate=0"], r"optim\.accumulate.*at least 1"),
        (["--optim.warmup_steps=-1"], r"optim\.warmup_steps.*at least 0"),
        (["--run.max_bad_steps=-1"], r"run\.max_bad_steps.*at least 0"),
    ],
)
def test_values_that_no_run_can_use(keys: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_arguments(["--data.root=x", "--data.size=[8,8]", *keys])


def test_help_documents_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = capsys.readouterr().out
    for key in KEYS:
        _, found, rest = text.partition(f"--{key} ")
        assert found, key
        described = rest.partition("\n  --")[0].partition("(type:")[0]
        assert len(described.split()) > 3, key


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_shipped_configurations_build(file: Path) -> None:
    config = parse_arguments(["--config", str(file), "--data.root", "somewhere"])
    info = CAMVID_INFO if config.data.name == "camvid" else CITYSCAPES_INFO
    tasks = build_tasks(config.loss, info)
    size = config.data.crop_size or config.data.size
    assert size is not None
    with torch.device("meta"):
        network = build_network(config.model, tasks)
        predictions = network(torch.empty(2, 3, *size))
    for name, prediction in predictions.items():
        assert prediction.shape == (2, tasks[name].channels, size[0] // 8, size[1] // 8)


def test_the_recipe_of_the_paper() -> None:
    full, tiny = (
        parse_arguments(["--config", str(file), "--data.root", "x"])
        for file in CONFIGS
        if file.name.startswith("cityscapes")
    )
    assert (full.run.steps, full.data.batch_size, full.data.crop_size) == (100_000, 16, (512, 512))
    assert (full.data.scale_range, full.data.size) == ((0.7, 2.0), None)
    assert (tiny.run.steps, tiny.data.batch_size, tiny.data.size) == (50_000, 8, (128, 256))
    for config in (full, tiny):
        optim, model = config.optim, config.model
        assert (optim.learning_rate, optim.power, optim.momentum) == (2.5e-3, 0.9, 0.9)
        assert (optim.weight_decay, config.data.flip_probability) == (1e-4, 0.5)
        assert (model.backbone, model.output_stride) == ("resnet101", 8)
