"""What all metrics share: sums over pixels that can be added across batches and processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


class SumMetric(ABC):
    """A metric that is a function of sums, kept in one int64 or float64 tensor.

    Sums of several processes are merged by adding their states::

        state = metric.state()
        torch.distributed.all_reduce(state)
        metric.load_state(state)
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self._sums = torch.zeros(shape, dtype=dtype)

    @abstractmethod
    def update(self, prediction: Any, target: Any, /) -> None:
        """Count a batch."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """The metrics of everything seen so far; NaN for what cannot be told."""

    def state(self) -> Tensor:
        """A copy of the sums, on the device of the last update; those of segments on the CPU."""
        return self._sums.clone()

    def load_state(self, state: Tensor) -> None:
        """Replace the sums by those of `state`, which is copied.

        Raises:
            ValueError: the shape or dtype is not that of :meth:`state`.
        """
        if state.shape != self._sums.shape or state.dtype != self._sums.dtype:
            raise ValueError(
                f"state: expected {self._sums.dtype} {list(self._sums.shape)}, "
                f"got {state.dtype} {list(state.shape)}"
            )
        self._sums = state.clone()

    def reset(self) -> None:
        """Forget everything seen."""
        self._sums = torch.zeros_like(self._sums)

    def _add(self, sums: Tensor) -> None:
        self._sums = self._sums.to(sums.device) + sums


class ErrorMetric(SumMetric):
    """Mean and root mean square of an error per pixel."""

    def __init__(self) -> None:
        super().__init__((3,), torch.float64)

    def compute(self) -> dict[str, float]:
        """`mean_error` and `rms_error`; NaN where no pixel was valid or a prediction was NaN."""
        absolute, squared, count = self._sums.tolist()
        if count == 0:
            return {"mean_error": float("nan"), "rms_error": float("nan")}
        return {"mean_error": absolute / count, "rms_error": (squared / count) ** 0.5}

    def _add_errors(self, absolute: Tensor, squared: Tensor, valid: Tensor) -> None:
        # Selected by `where` and not by a product, since 0 * NaN of an invalid pixel is NaN; and
        # not by indexing, which would wait for the device.
        zero = absolute.new_zeros(())
        parts = [torch.where(valid, part, zero).sum() for part in (absolute, squared)]
        self._add(torch.stack([*parts, valid.sum(dtype=torch.float64)]))


def check_shape(name: str, tensor: Tensor, expected: tuple[int, ...], of: str) -> None:
    """Raise ValueError unless `tensor`, called `name`, has the shape that goes with `of`."""
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"{name}: expected the shape {list(expected)} that goes with {of}, "
            f"got {list(tensor.shape)}"
        )


def check_map(name: str, tensor: Tensor) -> None:
    """Raise ValueError unless `tensor`, called `name`, is [B,H,W]."""
    if tensor.dim() != 3:
        raise ValueError(f"{name}: expected [B,H,W], got {list(tensor.shape)}")


def check_integer(name: str, tensor: Tensor) -> None:
    """Raise TypeError unless `tensor`, called `name`, holds integers."""
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"{name}: expected an integer dtype, got {tensor.dtype}")
