"""What tests run in two processes that share every batch."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from engine_runs import clean_processes
from torch import Tensor, nn

from mtl_cuda import CrossEntropyTask, InstanceOffsetTask, L1Task, MultiTaskLoss
from mtl_cuda.cli import main
from mtl_cuda.engine import train as engine
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.distributed import Ranks, joined_ranks
from mtl_cuda.tasks import Task
from mtl_cuda.weighting import NAMES

COUNT = 2
HEADS = {"semantic": 4, "instance": 2, "depth": 1}


def on_ranks(function: Callable[..., Any], *args: Any) -> list[Any]:
    """What `function(ranks, *args)` returns in each process of a group."""
    results = clean_processes().SimpleQueue()
    with started(_call_as_rank, results, function, *args):
        returned = dict(results.get() for _ in range(COUNT))
    failed = [value for value in returned.values() if isinstance(value, str)]
    assert not failed, "\n".join(failed)
    return [pickle.loads(returned[index]) for index in range(COUNT)]


@contextmanager
def started(target: Callable[..., None], *args: Any) -> Iterator[Sequence[BaseProcess]]:
    """Processes that call `target(*args)` with the environment that torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = clean_processes()
    processes = [
        context.Process(target=_with_environment, args=(index, port, target, *args))
        for index in range(COUNT)
    ]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            process.join(10)
            process.kill()


def _with_environment(index: int, port: int, target: Callable[..., None], *args: Any) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(index),
        "LOCAL_RANK": str(index),
        "WORLD_SIZE": str(COUNT),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    target(*args)


def _call_as_rank(results: Any, function: Callable[..., Any], *args: Any) -> None:
    index = int(os.environ["RANK"])
    try:
        with joined_ranks("cpu", 60.0) as ranks:
            results.put((index, pickle.dumps(function(ranks, *args))))
    except BaseException:
        results.put((index, traceback.format_exc()))


class Small(nn.Module):
    """A network at half resolution, and its criterion, as one module."""

    def __init__(self, criterion: MultiTaskLoss, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.shared = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.heads = nn.ModuleDict({name: nn.Conv2d(6, n, 1) for name, n in HEADS.items()})
        self.criterion = criterion
        self.to(dtype)

    def forward(self, images: Tensor, targets: dict[str, Tensor]) -> Any:
        features = self.shared(images).tanh()
        predictions = {name: head(features) for name, head in self.heads.items()}
        return self.criterion(predictions, targets, self.shared.parameters())


def joined_batch(step: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Four scenes whose halves differ in their valid pixels.

    In step 1 the first two have no depth and the last two no instance; in step 2 nobody has depth.
    """
    some = torch.Generator().manual_seed(100 + step)
    size = (4, 8, 12)

    def some_of(shares: tuple[float, ...]) -> Tensor:
        return torch.rand(size, generator=some) < torch.tensor(shares)[:, None, None]

    semantic = torch.randint(0, 4, size, generator=some)
    semantic[some_of((0.1, 0.3, 0.9, 0.8))] = 255
    instance = torch.randint(0, 3, size, generator=some)
    depth = torch.rand(size, generator=some, dtype=dtype)
    depth[some_of((0.9, 0.7, 0.1, 0.0))] = torch.nan
    if step == 1:
        depth[:2] = torch.nan
        instance[2:] = 0
    if step == 2:
        depth[:] = torch.nan
    image = torch.randn(4, 3, 8, 12, generator=some, dtype=dtype)
    return {"image": image, "semantic": semantic, "instance": instance, "depth": depth}


def learn(ranks: Ranks, criterion: MultiTaskLoss, dtype: torch.dtype) -> dict[str, Tensor]:
    """Five steps; returns everything that was learned, and what each step reported."""
    module = Small(criterion, dtype)
    wrapped = ranks.wrapped(module)
    optimizer = torch.optim.SGD(module.parameters(), 0.1, 0.9, nesterov=True)
    found = {}
    for step in range(5):
        own = {
            name: tensor.chunk(ranks.count)[ranks.index]
            for name, tensor in joined_batch(step, dtype).items()
        }
        output = wrapped(own.pop("image"), own)
        optimizer.zero_grad()
        output.total.backward()
        optimizer.step()
        if step % 2 == 0:
            criterion.end_epoch()
        found[f"{step}/total"] = output.total.detach()
        for kind in ("losses", "weights", "sigmas", "valid"):
            for name, value in getattr(output, kind).items():
                found[f"{step}/{kind}/{name}"] = value.detach()
    return found | {name: value.clone() for name, value in module.state_dict().items()}


def criteria() -> dict[str, MultiTaskLoss]:
    """Every weighting, and every likelihood, class weights and label smoothing."""
    torch.manual_seed(7)  # which random weights are drawn from
    plain: dict[str, Task] = {
        "semantic": CrossEntropyTask(4),
        "instance": InstanceOffsetTask(),
        "depth": L1Task(),
    }
    others: dict[str, Task] = {
        "semantic": CrossEntropyTask(
            4, class_weights=(0.1, 2.0, 0.0, 1.0), label_smoothing=0.1, likelihood="scaled_softmax"
        ),
        "instance": InstanceOffsetTask("laplace"),
        "depth": L1Task(likelihood="laplace"),
    }
    fixed = {"semantic": 0.5, "instance": 0.0, "depth": 3.0}
    made = {name: MultiTaskLoss(plain, name, sync_normalizer=True) for name in NAMES}
    made["fixed"] = MultiTaskLoss(plain, fixed, sync_normalizer=True)
    made["likelihoods"] = MultiTaskLoss(
        others, initial_log_variance={"semantic": 0.3, "instance": -0.2, "depth": 1.0},
        sync_normalizer=True,
    )  # fmt: skip
    return made


def learn_all(ranks: Ranks) -> dict[str, dict[str, Tensor]]:
    """`learn` with each of the criteria, in double and single precision."""
    return {
        f"{name}/{str(dtype).removeprefix('torch.')}": learn(ranks, criterion, dtype)
        for dtype in (torch.float64, torch.float32)
        for name, criterion in criteria().items()
    }


def train(
    ranks: Ranks,
    config: TrainConfig,
    stop: tuple[int, str, int] | None = None,
    spoil: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Train; returns what the process knows of it at the end.

    Args:
        ranks: that train together.
        config: of the run; processes other than the first get another folder, which must not be.
        stop: rank that sends itself SIGTERM at the start of the n-th call of a function "learn"
            or "measure".
        spoil: rank whose images are no numbers in the n-th step.
    """
    config = copy.deepcopy(config)
    if not ranks.is_main:
        config.run.out += "-of-another"
    trainer = engine.Trainer(config, ranks)
    seen: list[list[int]] = []
    calls: dict[str, int] = {}

    def watched(name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        calls[name] = calls.get(name, 0) + 1
        if stop == (ranks.index, name, calls[name]):
            os.kill(os.getpid(), signal.SIGTERM)
        if name == "learn" and spoil == (ranks.index, calls[name]):
            args[0][0]["image"].fill_(torch.nan)
        if name == "learn":
            seen.extend(batch["index"].tolist() for batch in args[0])
        return function(*args, **options)

    trainer.learner.learn = partial(watched, "learn", trainer.learner.learn)  # type: ignore
    with patch.object(engine, "measure", partial(watched, "measure", engine.measure)):
        result = trainer.fit()
    return {
        "code": result.exit_code,
        "steps": result.steps,
        "metrics": result.metrics,
        "baseline": result.baseline,
        "seen": seen,
        "wrote": Path(config.run.out).exists(),
    }


def train_each(ranks: Ranks, runs: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """`train` with the arguments of each run, one after the other."""
    return [train(ranks, *run) for run in runs]


def command(folder: Path, arguments: list[str]) -> None:
    """Run `mtl-cuda` with what it says in the file out-RANK; the exit code is the process's."""
    said = os.open(folder / f"out-{os.environ['RANK']}", os.O_CREAT | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    sys.exit(main(arguments))
