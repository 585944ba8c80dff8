"""The ops as functions: checked arguments, tasks by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import mtl_cuda.ops.loss_autograd as loss_op
from mtl_cuda import checks
from mtl_cuda.ops.bad_label import check_labels
from mtl_cuda.ops.loss_tasks import write_tasks
from mtl_cuda.reference import Argmax, LossTerms, Target
from mtl_cuda.tasks import (
    LOG_VARIANCE_RANGE,
    MAX_INSTANCE_ID,
    CrossEntropyTask,
    InstanceOffsetTask,
    Task,
)

__all__ = [
    "Argmax",
    "LossTerms",
    "Target",
    "argmax_upsampled",
    "clamped",
    "instance_centroids",
    "multi_task_loss",
]


def clamped(log_variances: Tensor) -> Tensor:
    """Log-variances as the loss uses them: within [-10, 10]."""
    return log_variances.clamp(*LOG_VARIANCE_RANGE)


def multi_task_loss(
    predictions: Mapping[str, Tensor],
    targets: Mapping[str, Target],
    tasks: Mapping[str, Task],
    log_variances: Tensor | None = None,
    weights: Mapping[str, float] | None = None,
    align_corners: bool = False,
    validate: bool = False,
) -> LossTerms:
    """Losses of several dense tasks and their weighed sum, with all gradients in one pass.

    Per task the raw loss is the sum over valid pixels of the pixel loss, divided by their number
    in the batch; :mod:`mtl_cuda.tasks` says what the total gets of it (Kendall, Gal, Cipolla,
    CVPR 2018, equations 5 to 10). A task without a valid pixel adds nothing: no loss, no s/2, zero
    gradients. Results are bitwise the same for every number of threads. Second derivatives do not
    exist: ``create_graph=True`` raises a RuntimeError in the backward pass.

    Args:
        predictions: by task name, [B,C,h,w] of float32, float16, bfloat16 or float64, with any
            strides; never written to. A prediction that is smaller or larger than its target is
            interpolated bilinearly, pixel by pixel where it is needed: the interpolated tensor and
            its gradient never exist.
        targets: by task name. Cross-entropy: classes [B,H,W] of uint8, int16, int32 or int64.
            Instance offsets: ids [B,H,W] of the same types, 0 = no instance. L1: values [B,C,H,W]
            (or [B,H,W] for one channel) with NaN = invalid, or ``(values, mask)`` with a bool mask
            [B,H,W], true = valid.
        tasks: by name; their order is the order of ``log_variances`` and of the results.
        log_variances: [T] float32 or float64, s = log sigma**2 per task; clamped to [-10, 10].
        weights: instead of log-variances, a fixed weight >= 0 for each task.
        align_corners: of the interpolation, as in ``torch.nn.functional.interpolate``.
        validate: check labels where that costs a synchronisation: on a GPU, where without it a bad
            label makes the loss NaN (on the CPU it is always done). So does MTL_CUDA_VALIDATE=1.

    Raises:
        TypeError: an argument is no tensor, or of a type that the task does not take.
        ValueError: a missing name, a wrong shape, batch, device or number of log-variances; a
            label that is neither a class nor ``ignore_index``; an id below 0 or above 65535.
        NotImplementedError: predictions on a device that has no kernel, or on a GPU where the
            package was built without CUDA.
    """
    result = fused_loss(
        predictions, targets, tasks, log_variances, weights, align_corners, validate
    )
    return LossTerms(result.total, result.losses, result.weights, result.valid)


def fused_loss(
    predictions: Mapping[str, Tensor],
    targets: Mapping[str, Target],
    tasks: Mapping[str, Task],
    log_variances: Tensor | None,
    weights: Mapping[str, float] | None,
    align_corners: bool,
    validate: bool,
) -> loss_op.LossResult:
    """The op's own results for the arguments of :func:`multi_task_loss`."""
    checks.check_names(predictions, tasks, "predictions")
    checks.check_names(targets, tasks, "targets")
    if (log_variances is None) == (weights is None):
        raise ValueError("log_variances, weights: expected exactly one of the two")
    recording = torch.is_grad_enabled()
    device = _device_of(predictions, tasks)
    given, grids, masks, needs_gradient = [], [], [], []
    for name, task in tasks.items():
        prediction = checks.check_prediction(predictions[name], task, device, name)
        grid, mask = checks.check_target(targets[name], task, prediction, name)
        given.append(prediction)
        grids.append(grid)
        masks.append(mask)
        needs_gradient.append(recording and prediction.requires_grad)
    factors: list[float] = []
    if weights is not None:
        factors = checks.check_weights(weights, tasks)
    else:
        log_variances = checks.check_log_variances(log_variances, len(tasks), device)
    if device.type == "cuda" and (validate or os.environ.get("MTL_CUDA_VALIDATE") == "1"):
        for (name, task), grid in zip(tasks.items(), grids):
            _check_labels(name, task, grid)
    return loss_op.multi_task_loss(
        given,
        grids,
        masks,
        log_variances,
        factors,
        write_tasks(tasks),
        align_corners,
        needs_gradient,
    )


def instance_centroids(ids: Tensor, instances: int | None = None) -> tuple[Tensor, Tensor]:
    """Centroid and size of every instance of every image.

    Args:
        ids: [B,H,W] of uint8, int16, int32 or int64; 0 = no instance, 1..K number the instances.
        instances: K; where None, the largest id (on a GPU finding it synchronises).

    Returns:
        centroids [B,K,2] float32, (x, y) in pixels with pixel (row r, column c) at (c, r), NaN for
        ids that an image does not have; and counts [B,K] int64, pixels per instance.

    Raises:
        TypeError: ``ids`` is no integer tensor.
        ValueError: another shape, an id below 0, or one above ``instances`` or 65535.
    """
    checks.check_dtype(checks.check_tensor(ids, "ids"), checks.LABEL_DTYPES, "ids")
    if ids.dim() != 3:
        raise ValueError(f"ids: expected [B,H,W], got {list(ids.shape)}")
    if instances is None:
        instances = int(ids.max()) if ids.numel() else 0
    if not 0 <= instances <= MAX_INSTANCE_ID:
        raise ValueError(
            f"instances: expected 0 to {MAX_INSTANCE_ID}, got {instances}; number the instances "
            "of each image from 1"
        )
    centroids, counts = torch.ops.mtl_cuda.instance_centroids(ids, instances)
    return centroids, counts


def argmax_upsampled(
    logits: Tensor,
    size: Sequence[int],
    align_corners: bool = False,
    *,
    dtype: torch.dtype = torch.uint8,
    probability: bool = False,
    entropy: bool = False,
) -> Argmax:
    """The most likely class of each pixel, from logits of another resolution.

    Equals ``F.interpolate(logits, size, mode="bilinear")`` followed by argmax and softmax over the
    classes, but never writes the interpolated logits. There is no gradient.

    Args:
        logits: [B,C,h,w] of float32, float16, bfloat16 or float64, with any strides; float16 and
            bfloat16 are interpolated in float32, without rounding in between.
        size: (H, W) of the results; any ratio to (h, w), the same size included.
        align_corners: of the interpolation, as in ``torch.nn.functional.interpolate``.
        dtype: of the classes, ``torch.uint8`` (up to 256 classes) or ``torch.int64``.
        probability: whether to return the softmax probability of the class.
        entropy: whether to return the entropy of the softmax over the classes.

    Returns:
        classes [B,H,W], of equally likely ones the smallest; probability and entropy [B,H,W] of
        float32 (float64 for float64 logits), the entropy in nats; None where not asked for. A
        pixel with a NaN among its interpolated logits has class -1 (255 in uint8, as an ignored
        label), and a probability and an entropy of NaN; infinite logits give what argmax and
        softmax do. Logits of weight 0 count nowhere (F.interpolate makes NaN of infinity there).

    Raises:
        TypeError: ``logits`` is no tensor, or one of the types is not taken.
        ValueError: another shape, no class, no pixel to interpolate from or to, or more than 256
            classes in uint8.
        NotImplementedError: logits on a device that has no kernel, or on a GPU where the package
            was built without CUDA.
    """
    checks.check_dtype(checks.check_tensor(logits, "logits"), checks.PREDICTION_DTYPES, "logits")
    if logits.dim() != 4 or 0 in logits.shape[1:]:
        raise ValueError(
            f"logits: expected [B,C,h,w] with one class and one pixel at least, got "
            f"{list(logits.shape)}"
        )
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size: expected (H, W) of 1 at least, got {tuple(size)}")
    if dtype not in (torch.uint8, torch.int64):
        raise TypeError(f"dtype: expected torch.uint8 or torch.int64, got {dtype}")
    if dtype == torch.uint8 and logits.shape[1] > 256:
        raise ValueError(
            f"dtype: expected torch.int64 for {logits.shape[1]} classes, got torch.uint8, which "
            "holds 256"
        )
    _check_device(logits.device, "logits", "argmax_upsampled")
    classes, given_probability, given_entropy = torch.ops.mtl_cuda.argmax_upsampled(
        logits.detach(), *size, align_corners, dtype, probability, entropy
    )
    return Argmax(
        classes, given_probability if probability else None, given_entropy if entropy else None
    )


def _check_device(device: torch.device, argument: str, op: str) -> None:
    if device.type not in ("cpu", "cuda"):
        raise NotImplementedError(
            f"{argument}: expected tensors on the CPU or a CUDA device, got {device}; "
            f"mtl_cuda.reference.{op} runs on any device"
        )


def _device_of(predictions: Mapping[str, object], tasks: Mapping[str, Task]) -> torch.device:
    """Where the first prediction is, and the others have to be."""
    name = next(iter(tasks), None)
    if name is None:
        raise ValueError("tasks: expected at least one task, got none")
    device = checks.check_tensor(predictions[name], f"predictions[{name!r}]").device
    _check_device(device, "predictions", "multi_task_loss")
    return device


def _check_labels(name: str, task: Task, target: Tensor) -> None:
    """The check that the CPU kernels make themselves."""
    if isinstance(task, CrossEntropyTask):
        check_labels(target, name, task.num_classes, task.ignore_index)
    elif isinstance(task, InstanceOffsetTask):
        check_labels(target, name, None, 0)
