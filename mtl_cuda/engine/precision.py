"""Mixed precision: the network computes in half precision, weights and loss stay in float32."""

from __future__ import annotations

import torch

_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Precision:
    """The number format of a network's forward pass, and what its gradients need.

    The loss is no part of it: it takes half-precision predictions as they are and adds up in
    float32.

    Args:
        name: "float32", "bfloat16" or "float16".
        device: that the network is on.

    Attributes:
        scaler: multiplies the loss, for float16 alone, so that small gradients are not rounded to
            zero; halves its factor, and leaves a step out, where they overflow.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self._device = device.type
        self._dtype = _HALF.get(name)
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "float16")

    def autocast(self) -> torch.autocast:
        """A context for the forward pass of the network alone."""
        return torch.autocast(self._device, self._dtype, enabled=self._dtype is not None)
