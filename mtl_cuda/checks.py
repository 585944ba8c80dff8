"""What the loss takes: every refusal names the argument, what was expected, what came, the mend."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtl_cuda.tasks import L1Task, Task

PREDICTION_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
LABEL_DTYPES = (torch.uint8, torch.int16, torch.int32, torch.int64)


def _names(dtypes: tuple[torch.dtype, ...]) -> str:
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)


def check_tensor(value: object, argument: str) -> Tensor:
    """``value`` as a tensor, or a TypeError."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{argument}: expected a tensor, got {type(value).__name__}")
    return value


def check_dtype(tensor: Tensor, dtypes: tuple[torch.dtype, ...], argument: str) -> None:
    """TypeError where the tensor has none of the types."""
    if tensor.dtype not in dtypes:
        raise TypeError(
            f"{argument}: expected a tensor of {_names(dtypes)}, got {tensor.dtype}; convert it "
            f"with .to({dtypes[0]})"
        )


def check_shape(tensor: Tensor, shape: tuple[int, ...], meaning: str, argument: str) -> None:
    """ValueError where the shape is another one."""
    if tuple(tensor.shape) != shape:
        raise ValueError(
            f"{argument}: expected {meaning} = {list(shape)}, got {list(tensor.shape)}"
        )


def check_names(given: Mapping[str, object], tasks: Mapping[str, Task], argument: str) -> None:
    """ValueError where a task has no entry (entries without a task are left alone)."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument}: expected a mapping by task name, got {type(given).__name__}")
    missing = [name for name in tasks if name not in given]
    if missing:
        raise ValueError(
            f"{argument}: expected an entry for each task, got none for {missing} "
            f"(entries: {sorted(given)})"
        )


def _one_of(given: object, dtypes: tuple[torch.dtype, ...], argument: str, name: str) -> Tensor:
    """An entry of a mapping as a tensor of one of the types.

    This and the checks below name their argument only where they fail: in every call that would
    cost more than the checks.
    """
    if isinstance(given, Tensor) and given.dtype in dtypes:
        return given
    tensor = check_tensor(given, f"{argument}[{name!r}]")
    check_dtype(tensor, dtypes, f"{argument}[{name!r}]")
    return tensor


def check_prediction(prediction: object, task: Task, device: torch.device, name: str) -> Tensor:
    """The prediction of a task: floating point, [B,C,h,w] with the task's C, on the device."""
    tensor = _one_of(prediction, PREDICTION_DTYPES, "predictions", name)
    if tensor.dim() != 4 or tensor.shape[1] != task.channels:
        raise ValueError(
            f"predictions[{name!r}]: expected [B,{task.channels},h,w] for {task}, "
            f"got {list(tensor.shape)}"
        )
    if tensor.device != device:
        raise ValueError(
            f"predictions[{name!r}]: expected a tensor on {device} like the other predictions, "
            f"got one on {tensor.device}"
        )
    return tensor


def check_target(
    target: object, task: Task, prediction: Tensor, name: str
) -> tuple[Tensor, Tensor | None]:
    """The target of a task and its mask, if any, checked against the prediction's batch."""
    if not isinstance(task, L1Task):
        labels = _one_of(target, LABEL_DTYPES, "targets", name)
        if labels.dim() != 3:
            raise ValueError(f"targets[{name!r}]: expected [B,H,W], got {list(labels.shape)}")
        _check_grid(labels, prediction, name)
        return labels, None
    given, mask = target, None
    if isinstance(target, tuple):
        if len(target) != 2:
            raise ValueError(
                f"targets[{name!r}]: expected (target, mask), got a tuple of {len(target)}"
            )
        given, mask = target[0], check_tensor(target[1], f"targets[{name!r}][1] (mask)")
    values = _one_of(given, PREDICTION_DTYPES, "targets", name)
    channels = values.shape[1] if values.dim() == 4 else 1
    if values.dim() not in (3, 4) or channels != task.channels:
        layout = f"[B,{task.channels},H,W]" + (" or [B,H,W]" if task.channels == 1 else "")
        raise ValueError(f"targets[{name!r}]: expected {layout}, got {list(values.shape)}")
    _check_grid(values, prediction, name)
    if mask is not None:
        _check_mask(mask, values, f"targets[{name!r}][1] (mask)")
    return values, mask


def _check_grid(target: Tensor, prediction: Tensor, name: str) -> None:
    if target.shape[0] != prediction.shape[0]:
        raise ValueError(
            f"targets[{name!r}]: expected a batch of {prediction.shape[0]} like the prediction, "
            f"got {target.shape[0]}"
        )
    if prediction.numel() == 0:
        size, grid = list(prediction.shape[-2:]), list(target.shape[-2:])
        if 0 in size and size != grid:
            raise ValueError(
                f"targets[{name!r}]: a grid of {grid} cannot be interpolated from a prediction of "
                f"{size}; give predictions of one pixel at least"
            )
    if target.device != prediction.device:
        raise _elsewhere(target, prediction.device, f"targets[{name!r}]")


def _check_mask(mask: Tensor, target: Tensor, argument: str) -> None:
    check_dtype(mask, (torch.bool,), argument)
    check_shape(mask, (target.shape[0], target.shape[-2], target.shape[-1]), "[B,H,W]", argument)
    if mask.device != target.device:
        raise _elsewhere(mask, target.device, argument)


def _elsewhere(tensor: Tensor, device: torch.device, argument: str) -> ValueError:
    return ValueError(
        f"{argument}: expected a tensor on {device} like the prediction, got one on "
        f"{tensor.device}; move it with .to('{device}')"
    )


def check_log_variances(log_variances: object, count: int, device: torch.device) -> Tensor:
    """One floating number per task, on the predictions' device."""
    tensor = check_tensor(log_variances, "log_variances")
    check_dtype(tensor, (torch.float32, torch.float64), "log_variances")
    check_shape(tensor, (count,), "[T], one per task", "log_variances")
    if tensor.device != device:
        raise ValueError(
            f"log_variances: expected a tensor on {device} like the predictions, got one on "
            f"{tensor.device}; move the criterion with .to('{device}')"
        )
    return tensor


def check_weights(weights: Mapping[str, float], tasks: Mapping[str, Task]) -> list[float]:
    """A finite number >= 0 for each task, in their order."""
    check_names(weights, tasks, "weights")
    for name in tasks:
        if not 0.0 <= weights[name] < float("inf"):
            raise ValueError(
                f"weights[{name!r}]: expected a finite number >= 0, got {weights[name]}"
            )
    return [float(weights[name]) for name in tasks]
