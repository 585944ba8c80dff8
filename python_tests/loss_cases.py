"""Cases of the multi-task loss for the tests: predictions, targets and tasks of every kind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from unittest import mock

import torch
from torch import Tensor

from mtl_cuda import functional
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
    align_corners: bool = False

    @property
    def inputs(self) -> list[Tensor]:
        """Everything a gradient can be asked for."""
        variances = [] if self.log_variances is None else [self.log_variances]
        return [*self.predictions.values(), *variances]

    def fused(self) -> LossTerms:
        return multi_task_loss(
            self.predictions,
            self.targets,
            self.tasks,
            self.log_variances,
            self.weights,
            self.align_corners,
        )

    def reference(self) -> LossTerms:
        return reference_loss(
            self.predictions,
            self.targets,
            self.tasks,
            self.log_variances,
            self.weights,
            self.align_corners,
        )

    def to(self, kind: torch.dtype | torch.device) -> LossCase:
        """The same numbers in another floating type (floating targets too) or elsewhere."""
        return LossCase(
            {name: _leaf(tensor, kind) for name, tensor in self.predictions.items()},
            {name: _target_to(target, kind) for name, target in self.targets.items()},
            self.tasks,
            None if self.log_variances is None else _leaf(self.log_variances, kind),
            self.weights,
            self.align_corners,
        )

    def op_arguments(self) -> tuple[object, ...]:
        """The arguments of torch.ops.mtl_cuda.multi_task_loss, caught on their way."""
        caught: list[tuple[object, ...]] = []

        def catch(*arguments: object) -> object:
            caught.append(arguments)
            raise InterruptedError

        with (
            mock.patch.object(functional.loss_op, "multi_task_loss", catch),
            suppress(InterruptedError),
        ):
            self.fused()
        return caught[0]


def _leaf(tensor: Tensor, kind: torch.dtype | torch.device) -> Tensor:
    return tensor.detach().to(kind).requires_grad_()


def _target_to(target: Target, kind: torch.dtype | torch.device) -> Target:
    if isinstance(target, tuple):
        values, mask = target
        return values.to(kind), mask.to(kind) if isinstance(kind, torch.device) else mask
    stays = isinstance(kind, torch.dtype) and not target.is_floating_point()
    return target if stays else target.to(kind)


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
    low: tuple[int, int] | None = None,
    align_corners: bool = False,
) -> LossCase:
    """Random predictions (of size ``low``), ignored labels, instances, depth with holes."""
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
    size = low or (height, width)
    predictions = {name: 3 * normal(batch, count, *size) for name, count in counts.items()}
    case = LossCase(
        predictions,
        {"semantic": labels.to(label_dtype), "instance": ids.to(label_dtype), "depth": depth},
        tasks,
        None if fixed else normal(3),
        {"semantic": 0.5, "instance": 0.0, "depth": 2.0} if fixed else None,
        align_corners,
    )
    return case.to(dtype)


def with_layout(tensor: Tensor, layout: str) -> Tensor:
    """The same shape and, but for "expanded" and "flipped rows", numbers in another layout."""
    if layout == "channels_last":
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == "transposed":
        return tensor.transpose(2, 3).contiguous().transpose(2, 3)
    if layout == "expanded":
        return tensor[:, :, :1, :].expand(tensor.shape)
    if layout == "sliced":
        wide = tensor.new_full((*tensor.shape[:2], tensor.shape[2] + 3, tensor.shape[3] + 9), 7)
        wide[:, :, 2:-1, 5:-4] = tensor
        return wide[:, :, 2:-1, 5:-4]
    if layout == "offset by one":
        flat = tensor.new_zeros(tensor.numel() + 1)
        flat[1:] = tensor.flatten()
        return flat[1:].view(tensor.shape)
    if layout == "flipped rows":
        return tensor[:, :, ::2, :].repeat_interleave(2, dim=2)
    return tensor.contiguous()


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
