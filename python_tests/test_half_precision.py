"""The native conversions of float16 and bfloat16, value by value, against PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtl_cuda.functional import multi_task_loss
from mtl_cuda.tasks import L1Task

HALF_TYPES = [torch.float16, torch.bfloat16]
TASKS = {"value": L1Task()}


def _distance_and_gradient(value: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """|value| as the kernel reads it, and ``weight`` as it writes it."""
    prediction = value.view(1, 1, 1, 1).clone().requires_grad_()
    target = {"value": torch.zeros(1, 1, 1)}
    terms = multi_task_loss({"value": prediction}, target, TASKS, weights={"value": weight})
    (gradient,) = torch.autograd.grad(terms.total, [prediction])
    return terms.losses[0], gradient.flatten()[0]


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_loads_are_exact(dtype: torch.dtype) -> None:
    patterns = torch.cat([torch.arange(0, 65536, 13), torch.tensor([1, 1023, 1024, 31743, 31744])])
    for value in patterns.to(torch.uint16).view(dtype):
        distance, _ = _distance_and_gradient(value, 1.0)
        torch.testing.assert_close(distance, value.float().abs(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_stores_round_to_nearest_even(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(0, 0x7F800000, (3000,), generator=generator, dtype=torch.int32)
    ties = torch.arange(1, 2000, dtype=torch.int32) * 0x800 + 0x38000000  # halfway in both types
    edges = torch.tensor([65504.0, 65519.99, 65520.0, 2.0**-24, 2.0**-25, 2.0**-14])
    one = torch.ones((), dtype=dtype)
    for weight in torch.cat([numbers.view(torch.float32), ties.view(torch.float32), edges]):
        _, gradient = _distance_and_gradient(one, weight.item())
        assert gradient.item() == weight.to(dtype).item()
