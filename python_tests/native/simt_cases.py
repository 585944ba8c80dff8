"""Cases of the loss for its kernels in the SIMT harness: in numpy, and against the reference."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np
import pytest
from simt_harness import ACTIVE_SANITIZER, Schedule, set_schedule
from simt_loss import Array, SimtResult, SimtTask, run_loss

if TYPE_CHECKING:
    from loss_cases import LossCase

with_torch = pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="torch has no sanitizer build")
sanitized = pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="runs under it already")


def numpy_tasks(layout: str, extra: bool) -> tuple[list[SimtTask], list[np.ndarray]]:
    """Three tasks in float32 and their gradients, full of garbage."""
    rng = np.random.default_rng(3)
    # Images of whole packs, but for the odd ones; the interleaved ones take a block two runs.
    height, width = {"planar": (6, 40), "interleaved": (8, 37), "odd": (7, 37)}[layout]
    batch, classes = 2, 5

    def laid_out(channels: int) -> np.ndarray:
        if layout == "interleaved":
            base = rng.normal(size=(batch, height, width, channels)).astype(np.float32)
            return base.transpose(0, 3, 1, 2)
        return rng.normal(size=(batch, channels, height, width)).astype(np.float32)

    labels = rng.integers(0, classes, (batch, height, width)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.2] = 255
    ids = rng.integers(0, 3, (batch, height, width)).astype(np.int32)
    depth = rng.normal(size=(batch, 1, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    mask = rng.random((batch, height, width)) < 0.7
    predictions = [laid_out(channels) for channels in (classes, 2, 1)]
    gradients = [np.full_like(prediction, np.nan) for prediction in predictions]
    given = [Array.of(prediction) for prediction in predictions]
    wanted = [Array.of(gradient) for gradient in gradients]
    variances = np.array([0.3, -0.2, 1.0], np.float32)
    semantic = SimtTask(
        "cross_entropy",
        "scaled_softmax" if extra else "softmax",
        given[0],
        Array.of(labels),
        gradient=wanted[0],
        class_weights=np.linspace(0.5, 2, classes) if extra else None,
        label_smoothing=0.1 if extra else 0.0,
        log_variance=variances[0:1],
    )
    instance = SimtTask("instance_offset", "laplace", given[1], Array.of(ids), gradient=wanted[1])
    instance.log_variance = variances[1:2]
    inverse_depth = SimtTask("l1", "gaussian", given[2], Array.of(depth), gradient=wanted[2])
    inverse_depth.mask, inverse_depth.log_variance = Array.of(mask), variances[2:3]
    return [semantic, instance, inverse_depth], gradients


def array_of(tensor: object) -> Array:
    from mtl_cuda.native import view

    address, code, shape, strides = view(tensor)  # type: ignore[arg-type]
    return Array(address, code, shape, strides, tensor)


def run_case(library: ctypes.CDLL, case: LossCase) -> tuple[SimtResult, list[object]]:
    """The kernels on a case of the loss's own tests; gradients as stored."""
    import torch

    from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask

    gradients = [torch.full_like(p, torch.nan) for p in case.predictions.values()]
    tasks = []
    for i, (name, task) in enumerate(case.tasks.items()):
        target, mask = case.targets[name], None
        if isinstance(target, tuple):
            target, mask = target
        kind = "l1"
        if isinstance(task, CrossEntropyTask):
            kind = "cross_entropy"
        elif isinstance(task, InstanceOffsetTask):
            kind = "instance_offset"
        likelihood = "fixed" if case.weights else task.likelihood
        simt = SimtTask(
            kind, likelihood, array_of(case.predictions[name].detach()), array_of(target)
        )
        simt.mask = None if mask is None else array_of(mask)
        simt.gradient, simt.align_corners = array_of(gradients[i]), case.align_corners
        if case.weights:
            simt.fixed_weight = case.weights[name]
        if case.log_variances is not None:
            simt.log_variance = case.log_variances.detach().numpy()[i : i + 1]
        if isinstance(task, CrossEntropyTask):
            simt.ignore_index, simt.label_smoothing = task.ignore_index, task.label_smoothing
            if task.class_weights is not None:
                simt.class_weights = np.array(task.class_weights, np.float64)
        tasks.append(simt)
    in_double = any(p.dtype == torch.float64 for p in case.predictions.values())
    return run_loss(library, tasks, in_double), gradients


def assert_as_reference(library: ctypes.CDLL, case: LossCase, tolerance: float) -> None:
    import torch

    set_schedule(library, Schedule("random", seed=7, poison=0xFF, workers=2))
    result, gradients = run_case(library, case)
    exact = case.to(torch.float64)
    expected = exact.reference()
    compare = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
    np.testing.assert_allclose(result.total[0], expected.total.item(), **compare)
    np.testing.assert_allclose(result.losses, expected.losses.detach(), **compare)
    np.testing.assert_array_equal(result.valid, expected.valid)
    wanted = torch.autograd.grad(expected.total, exact.inputs, allow_unused=True)
    for i, gradient in enumerate(gradients):
        given = gradient.double() * (result.weights[i] / result.gradient_scales[i])
        reference = torch.zeros_like(given) if wanted[i] is None else wanted[i]
        atol = tolerance * max(1.0, reference.nan_to_num().abs().max().item())
        torch.testing.assert_close(
            given, reference, rtol=tolerance, atol=atol, equal_nan=True, check_dtype=False
        )
    if case.log_variances is not None:
        np.testing.assert_allclose(result.log_variance_gradient, wanted[-1], **compare)
