"""Training steps whose loss is no number: left out as long as they are few."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cuda.engine.logging import describe_losses


class NonFiniteLossError(RuntimeError):
    """A loss became infinite or NaN; the message names the step and the samples."""


def is_finite(row: Mapping[str, float]) -> bool:
    """Whether all numbers of a step are."""
    return all(math.isfinite(value) for value in row.values())


class BadSteps:
    """Counts the steps of a run that were left out.

    Args:
        allowed: how many may be; the next one stops the run.
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._samples: dict[int, list[str]] = {}  # by step

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self._samples)

    def add(self, step: int, row: Mapping[str, float], samples: Sequence[str]) -> None:
        """Take note of one, and warn.

        Raises:
            NonFiniteLossError: it is one too many.
        """
        self._samples[step] = list(samples)
        found = (
            f"step {step}: the loss is not finite ({describe_losses(row)}); samples: "
            f"{', '.join(samples)}"
        )
        if self.count <= self.allowed:
            warnings.warn(
                f"{found}; left out ({self.count} of run.max_bad_steps: {self.allowed})",
                stacklevel=2,
            )
            return
        earlier = "; ".join(
            f"step {earlier}: {', '.join(names)}"
            for earlier, names in self._samples.items()
            if earlier != step
        )
        raise NonFiniteLossError(
            f"{found}. A lower optim.learning_rate or an optim.clip_norm may help"
            + (f". Left out before: {earlier}" if earlier else "")
        )

    def state_dict(self) -> dict[str, Any]:
        """The samples of each step, for a checkpoint."""
        return {str(step): names for step, names in self._samples.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting from what `state_dict` gave."""
        self._samples = {int(step): list(names) for step, names in state.items()}


class Buffers:
    """Copies of a module's buffers: a forward pass that gave no number may have spoilt them."""

    def __init__(self, module: nn.Module) -> None:
        self._kept: Iterable[tuple[Tensor, Tensor]] = [(b, b.clone()) for b in module.buffers()]

    @torch.no_grad()
    def restore(self) -> None:
        """Put them back."""
        for buffer, kept in self._kept:
            buffer.copy_(kept)
