"""Cases of the multi-task loss for the tests: predictions, targets and tasks of every kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_cuda.functional import multi_task_loss
from mtl_cuda.reference import LossTerms, Target
from mtl_cuda.reference import multi_task_loss as reference_loss
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task, Task


@dataclass
class LossCase:
    """One call of the loss."""

    predictions: dict[str, Tensor]
    targets: dict[str, Target]
    tasks: dict[str, Task]
    log_variances: Tensor | None = None
    weights: dict[str, float] | None = None

    @property
    def inputs(self) -> list[Tensor]:
        """Everything a gradient can be asked for."""
        variances = [] if self.log_variances is None else [self.log_variances]
        return [*self.predictions.values(), *variances]

    def fused(self) -> LossTerms:
        return multi_task_loss(
            self.predictions, self.targets, self.tasks, self.log_variances, self.weights
        )

    def reference(self) -> LossTerms:
        return reference_loss(
            self.predictions, self.targets, self.tasks, self.log_variances, self.weights
        )

    def to(self, dtype: torch.dtype) -> LossCase:
        """The same numbers in another floating type (targets too, where they are floating)."""
        return LossCase(
            {name: _leaf(tensor, dtype) for name, tensor in self.predictions.items()},
            {name: _target_to(target, dtype) for name, target in self.targets.items()},
            self.tasks,
            None if self.log_variances is None else _leaf(self.log_variances, dtype),
            self.weights,
        )


def _leaf(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to(dtype).requires_grad_()


def _target_to(target: Target, dtype: torch.dtype) -> Target:
    if isinstance(target, tuple):
        return target[0].to(dtype), target[1]
    return target.to(dtype) if target.is_floating_point() else target


def make_case(
    batch: int = 2,
    height: int = 9,
    width: int = 37,
    classes: int = 5,
    seed: int = 0,
    *,
    semantic: CrossEntropyTask | None = None,
    l1_likelihood: str = "gaussian",
    channels: int = 1,
    label_dtype: torch.dtype = torch.int64,
    dtype: torch.dtype = torch.float64,
    fixed: bool = False,
) -> LossCase:
    """Random predictions, labels with ignored pixels, instances, depth with holes."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    grid = (batch, height, width)
    labels = torch.randint(0, classes, grid, generator=generator)
    labels[torch.rand(grid, generator=generator) < 0.2] = 255 if label_dtype != torch.int8 else 0
    ids = torch.randint(0, 4, grid, generator=generator)
    depth = normal(batch, channels, height, width)
    depth[torch.rand(depth.shape, generator=generator) < 0.2] = torch.nan
    tasks: dict[str, Task] = {
        "semantic": semantic or CrossEntropyTask(classes),
        "instance": InstanceOffsetTask(l1_likelihood),
        "depth": L1Task(channels, l1_likelihood),
    }
    counts = {"semantic": classes, "instance": 2, "depth": channels}
    predictions = {name: 3 * normal(batch, count, height, width) for name, count in counts.items()}
    case = LossCase(
        predictions,
        {"semantic": labels.to(label_dtype), "instance": ids.to(label_dtype), "depth": depth},
        tasks,
        None if fixed else normal(3),
        {"semantic": 0.5, "instance": 0.0, "depth": 2.0} if fixed else None,
    )
    return case.to(dtype)


def assert_same(case: LossCase, atol: float = 1e-10, rtol: float = 1e-10) -> None:
    """The fused loss and its gradients equal the reference's."""
    fused, expected = case.fused(), case.reference()
    for name in ("total", "losses", "weights"):
        torch.testing.assert_close(
            getattr(fused, name), getattr(expected, name), atol=atol, rtol=rtol, equal_nan=True
        )
    assert torch.equal(fused.valid, expected.valid)
    given = torch.autograd.grad(fused.total, case.inputs, allow_unused=True)
    wanted = torch.autograd.grad(expected.total, case.inputs, allow_unused=True)
    for tensor, gradient, reference in zip(case.inputs, given, wanted):
        reference = torch.zeros_like(tensor) if reference is None else reference
        assert gradient is not None
        torch.testing.assert_close(gradient, reference, atol=atol, rtol=rtol, equal_nan=True)
