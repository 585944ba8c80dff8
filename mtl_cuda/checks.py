"""What the loss takes: every refusal names the argument, what was expected, what came, the mend."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task, Task

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


def check_prediction(prediction: object, task: Task, argument: str) -> Tensor:
    """The prediction of a task: floating point, [B,C,h,w] with the task's C."""
    tensor = check_tensor(prediction, argument)
    check_dtype(tensor, PREDICTION_DTYPES, argument)
    if tensor.dim() != 4 or tensor.shape[1] != task.channels:
        raise ValueError(
            f"{argument}: expected [B,{task.channels},h,w] for {task}, got {list(tensor.shape)}"
        )
    return tensor


def check_target(
    target: object, task: Task, prediction: Tensor, argument: str
) -> tuple[Tensor, Tensor | None]:
    """The target of a task and its mask, if any, checked against the prediction's batch."""
    mask: Tensor | None = None
    if isinstance(task, L1Task) and isinstance(target, tuple):
        if len(target) != 2:
            raise ValueError(f"{argument}: expected (target, mask), got a tuple of {len(target)}")
        mask = check_tensor(target[1], f"{argument}[1] (mask)")
        target = target[0]
    tensor = check_tensor(target, argument)
    if isinstance(task, CrossEntropyTask | InstanceOffsetTask):
        check_dtype(tensor, LABEL_DTYPES, argument)
    else:
        check_dtype(tensor, PREDICTION_DTYPES, argument)
        if tensor.dim() == 3 and task.channels == 1:
            tensor = tensor.unsqueeze(1)
    _check_grid(tensor, task, prediction, argument)
    if mask is not None:
        check_dtype(mask, (torch.bool,), f"{argument}[1] (mask)")
        grid = (tensor.shape[0], tensor.shape[-2], tensor.shape[-1])
        check_shape(mask, grid, "[B,H,W]", f"{argument}[1] (mask)")
        _check_device(mask, prediction, f"{argument}[1] (mask)")
    return tensor, mask


def _check_grid(tensor: Tensor, task: Task, prediction: Tensor, argument: str) -> None:
    if isinstance(task, L1Task):
        dims, layout, fits = 4, f"[B,{task.channels},H,W]", tensor.shape[1:2] == (task.channels,)
        layout += " or [B,H,W]" if task.channels == 1 else ""
    else:
        dims, layout, fits = 3, "[B,H,W]", True
    if tensor.dim() != dims or not fits:
        raise ValueError(f"{argument}: expected {layout}, got {list(tensor.shape)}")
    if tensor.shape[0] != prediction.shape[0]:
        raise ValueError(
            f"{argument}: expected a batch of {prediction.shape[0]} like the prediction, "
            f"got {tensor.shape[0]}"
        )
    if 0 in prediction.shape[-2:] and prediction.shape[-2:] != tensor.shape[-2:]:
        raise ValueError(
            f"{argument}: a grid of {list(tensor.shape[-2:])} cannot be interpolated from a "
            f"prediction of {list(prediction.shape[-2:])}; give predictions of one pixel at least"
        )
    _check_device(tensor, prediction, argument)


def _check_device(tensor: Tensor, prediction: Tensor, argument: str) -> None:
    if tensor.device != prediction.device:
        raise ValueError(
            f"{argument}: expected a tensor on {prediction.device} like the prediction, got one "
            f"on {tensor.device}; move it with .to('{prediction.device}')"
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
