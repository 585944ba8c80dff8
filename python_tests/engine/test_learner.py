"""One training step in all its kinds: precision, accumulation, averages, frozen layers."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_runs import assert_same_run
from torch import Tensor, nn

from mtl_cuda.engine.bad_steps import NonFiniteLossError
from mtl_cuda.engine.checkpoint import load_checkpoint
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.loading import Batch, training_batches
from mtl_cuda.engine.train import Trainer
from mtl_cuda.inference.restore import restore

Make = Callable[..., TrainConfig]


@pytest.fixture
def trainer_of(tiny: Make) -> Callable[..., Trainer]:
    """Makes trainers; the keys replaced are given as "section.key"."""

    def make(**keys: Any) -> Trainer:
        config = tiny(overwrite=True, steps=10)
        config.model.dropout = 0.0
        for key, value in keys.items():
            section, name = key.split("__")
            setattr(getattr(config, section), name, value)
        config.__post_init__()
        return Trainer(config)

    return make


Trainers = Callable[..., Trainer]


def batch_of(trainer: Trainer, seed: int = 0) -> Batch:
    return next(training_batches(trainer.train_source, trainer.config.data, seed))


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    module = torch.nn.ModuleList([trainer.network, trainer.criterion])
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def poisoned(batch: Batch) -> Batch:
    image = batch["image"].clone()
    image[0, 0, 0, 0] = math.nan
    return {**batch, "image": image}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_close_to_single(trainer_of: Trainers, precision: str) -> None:
    single, half = trainer_of(), trainer_of(run__precision=precision)
    found: list[torch.dtype] = []
    half.criterion.register_forward_pre_hook(lambda _, args: found.append(args[0]["depth"].dtype))
    batch = batch_of(single)
    for _ in range(3):
        one, other = single.train_step(batch), half.train_step(batch)
    assert found == [torch.float32, *[getattr(torch, precision)] * 3]  # first the log-variances
    assert {p.dtype for p in half.network.parameters()} == {torch.float32}
    for key, value in one.items():
        assert other[key] == pytest.approx(value, rel=0.03, abs=0.01), key
    assert one != other


def test_float16_leaves_a_step_with_infinite_gradients_out(trainer_of: Trainers) -> None:
    trainer = trainer_of(run__precision="float16", optim__clip_norm=1.0)
    scaler = trainer.learner.precision.scaler
    batch = batch_of(trainer)
    trainer.train_step(batch)
    before, scale = weights_of(trainer), scaler.get_scale()
    parameter = trainer.network.get_parameter("decoders.depth.3.weight")
    handle = parameter.register_hook(lambda gradient: gradient * math.inf)
    trainer.train_step(batch)
    after = weights_of(trainer)
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if "running" not in name and "tracked" not in name} <= same
    assert scaler.get_scale() == scale / 2
    handle.remove()
    trainer.train_step(batch)
    assert not torch.equal(
        weights_of(trainer)["0.backbone.conv1.weight"], before["0.backbone.conv1.weight"]
    )


def test_clipping_sees_gradients_without_the_scale(trainer_of: Trainers) -> None:
    trainer = trainer_of(run__precision="float16", optim__clip_norm=0.5)
    trainer.train_step(batch_of(trainer))
    parameters = [*trainer.network.parameters(), *trainer.criterion.parameters()]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    assert float(norm) == pytest.approx(0.5, rel=1e-3)


def test_accumulated_halves_are_the_joined_batch(trainer_of: Trainers) -> None:
    """Of halves with equally many valid pixels, where batch norm sees no batch."""
    keys = {
        "model__batch_norm": "frozen",
        "loss__initial_log_variance": 0.0,
        "optim__clip_norm": None,  # which would hide a factor
        "optim__learning_rate": 1e-3,
    }
    joined, halves = trainer_of(**keys), trainer_of(optim__accumulate=2, **keys)
    batch = dict(batch_of(joined))
    for task in ("semantic", "instance", "depth"):  # equally many valid pixels in both
        batch[task] = batch[task][:1].expand(2, -1, -1).clone()
    parts = [{k: v[i : i + 1] for k, v in batch.items()} for i in range(2)]
    assert not torch.equal(parts[0]["image"], parts[1]["image"])
    for _ in range(2):
        one, other = joined.train_step(batch), halves.train_step(*parts)
    for key, value in one.items():
        assert other[key] == pytest.approx(value, rel=1e-5), key
    a, b = weights_of(joined), weights_of(halves)
    for name, weight in a.items():
        torch.testing.assert_close(b[name], weight, atol=1e-6, rtol=1e-6, msg=name)


def test_only_the_last_batch_of_a_step_synchronises(trainer_of: Trainers) -> None:
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module
            self.synchronising = True
            self.calls: list[bool] = []

        @contextmanager
        def no_sync(self) -> Iterator[None]:
            self.synchronising = False
            yield
            self.synchronising = True

        def forward(self, *args: Any) -> Any:
            self.calls.append(self.synchronising)
            return self.module(*args)

    trainer = trainer_of(optim__accumulate=3)
    wrapper = Wrapper(trainer.learner.module)
    trainer.learner.module = wrapper
    batch = batch_of(trainer)
    trainer.train_step(batch, batch, batch)
    trainer.train_step(batch)
    assert wrapper.calls == [False, False, True, True]


def test_frozen_batch_norm(trainer_of: Trainers) -> None:
    for kind, moving in (("frozen", ()), ("frozen_backbone", ("0.aspp", "0.decoders"))):
        trainer = trainer_of(model__batch_norm=kind)
        before = weights_of(trainer)
        trainer.train_step(batch_of(trainer))
        moved = [
            name
            for name, value in weights_of(trainer).items()
            if not torch.equal(value, before[name])
        ]
        statistics = [name for name in moved if "running" in name or ".bn" in name]
        assert all(name.startswith(moving) for name in statistics)
        assert bool(statistics) == bool(moving)
        assert "0.backbone.conv1.weight" in moved


def test_adamw_has_the_groups_of_sgd(trainer_of: Trainers) -> None:
    trainer = trainer_of(optim__optimizer="adamw", optim__log_variance_lr=3.0)
    optimizer = trainer.learner.optimizer
    assert isinstance(optimizer, torch.optim.AdamW)
    groups = optimizer.param_groups
    assert [g["weight_decay"] for g in groups] == [1e-4, 0.0, 0.0]
    assert [g["lr"] for g in groups] == pytest.approx([0.02, 0.02, 0.06])
    assert {g["betas"] for g in groups} == {(0.9, 0.999)}
    first = trainer.train_step(batch_of(trainer))
    for _ in range(9):
        last = trainer.train_step(batch_of(trainer))
    assert last["loss/semantic"] < first["loss/semantic"]


def test_the_average_is_evaluated_saved_and_restored(trainer_of: Trainers) -> None:
    trainer = trainer_of(optim__ema_decay=0.9, run__steps=3)
    trainer.fit()
    state = load_checkpoint(trainer.out / "best.pt")
    weight = state["ema"]["module.backbone.conv1.weight"]
    assert int(state["ema"]["n_averaged"]) == state["step"]
    assert not torch.equal(weight, state["model"]["backbone.conv1.weight"])
    restored = restore(trainer.out / "best.pt", torch.device("cpu"))
    assert torch.equal(restored.network.backbone.conv1.weight, weight)
    assert trainer.learner.predictor is not trainer.network


@pytest.mark.parametrize("decay", [None, 0.9])
def test_evaluation_is_of_the_average(trainer_of: Trainers, decay: float | None) -> None:
    trainer = trainer_of(optim__ema_decay=decay, run__steps=1)
    seen: list[nn.Module] = []
    for network in {trainer.network, trainer.learner.predictor}:
        network.register_forward_pre_hook(
            lambda module, _: None if module.training else seen.append(module)
        )
    trainer.fit()
    average = trainer.learner.average
    assert set(seen) == {trainer.network if average is None else average.module}
    assert (average is None) == (decay is None)


def test_bad_steps_leave_everything_as_it_was(trainer_of: Trainers) -> None:
    trainer = trainer_of(run__max_bad_steps=2, optim__accumulate=2, optim__ema_decay=0.9)
    batch = batch_of(trainer)
    with pytest.warns(UserWarning, match=r"step 0.*samples: synth.*left out \(1 of"):
        trainer.train_step(poisoned(batch), batch)
    initial = weights_of(trainer)["1.log_variances"]
    assert initial.tolist() == [0.0, 0.0, 0.0]
    trainer.train_step(batch, batch)
    assert (
        weights_of(trainer)["1.log_variances"].abs().max() > 1
    )  # the first good step is the first
    before = weights_of(trainer)
    with pytest.warns(UserWarning, match=r"step 2.*left out \(2 of run\.max_bad_steps: 2\)"):
        row = trainer.train_step(batch, poisoned(batch))
    assert math.isnan(row["total"])
    assert_equal(weights_of(trainer), before)
    assert trainer.step == 3
    other = trainer_of(run__max_bad_steps=2, optim__ema_decay=0.9)
    other.step = 3
    other.learner.bad_steps.load_state_dict(trainer.learner.bad_steps.state_dict())
    for one in (trainer, other):
        with pytest.raises(NonFiniteLossError, match=r"step \d.*Left out before: step 0: synth"):
            one.train_step(poisoned(batch))


def test_without_leave_the_first_bad_step_stops(trainer_of: Trainers) -> None:
    trainer = trainer_of()
    before = [p.clone() for p in trainer.network.parameters()]
    with pytest.raises(NonFiniteLossError, match=r"optim\.clip_norm may help$"):
        trainer.train_step(poisoned(batch_of(trainer)))
    assert all(map(torch.equal, before, trainer.network.parameters()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_equals_eager(trainer_of: Trainers) -> None:
    if shutil.which("c++") is None:
        pytest.skip("torch.compile needs a C++ compiler on the CPU")
    eager, compiled = trainer_of(), trainer_of(run__compile=True)
    compiled.network.compile(backend="aot_eager")  # all but the compiler's own part, in seconds
    batch = batch_of(eager)
    for _ in range(2):
        one, other = eager.train_step(batch), compiled.train_step(batch)
    assert one == pytest.approx(other, rel=1e-4)
    a, b = weights_of(eager), weights_of(compiled)
    assert a.keys() == b.keys()
    for name, weight in a.items():
        torch.testing.assert_close(b[name], weight, atol=1e-4, rtol=1e-3, msg=name)


KINDS = {
    "run__deterministic": True,
    "run__resume": "auto",
    "run__precision": "float16",
    "run__max_bad_steps": 3,
    "optim__optimizer": "adamw",
    "optim__learning_rate": 1e-3,
    "optim__warmup_steps": 3,
    "optim__accumulate": 2,
    "optim__ema_decay": 0.9,
    "model__checkpointing": True,
    "run__steps": 5,
    "run__eval_every": None,
}


def test_a_resumed_run_of_all_kinds_is_the_same(
    trainer_of: Trainers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with pytest.warns(UserWarning, match="left out"):
        train(trainer_of(run__out=str(whole), **KINDS), monkeypatch)
    first = trainer_of(run__out=str(parts), run__save_every=3, **KINDS)
    with monkeypatch.context() as patch:
        stop_after(3, first, patch)
        with pytest.warns(UserWarning, match="left out"):
            train(first, patch)
    second = trainer_of(run__out=str(parts), run__save_every=3, **KINDS)
    assert (second.step, second.learner.bad_steps.count) == (3, 1)
    assert second.learner.precision.scaler.state_dict()["_growth_tracker"] == 2
    train(second, monkeypatch)
    assert_same_run(whole, parts)


def train(trainer: Trainer, patch: pytest.MonkeyPatch) -> None:
    """To the end or until interrupted; step 1 has an infinite loss."""
    learn = trainer.learner.learn

    def learn_or_not(batches: Any, step: int, steps: int) -> dict[str, float]:
        return learn([poisoned(b) for b in batches] if step == 1 else batches, step, steps)

    patch.setattr(trainer.learner, "learn", learn_or_not)
    try:
        trainer.fit()
    except KeyboardInterrupt:
        assert trainer.step == 3


def stop_after(steps: int, trainer: Trainer, patch: pytest.MonkeyPatch) -> None:
    step = trainer.train_step

    def step_or_stop(*batches: Batch) -> dict[str, float]:
        if trainer.step == steps:
            raise KeyboardInterrupt
        return step(*batches)

    patch.setattr(trainer, "train_step", step_or_stop)
