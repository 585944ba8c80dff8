"""Where the GPU tests run, and what the loss on a device is held against.

MTL_CUDA_TEST_DEVICE=cpu runs the tests whose meaning is the same there, to test the tests.
"""

from __future__ import annotations

import os

import pytest
import torch
from loss_cases import LossCase
from torch import Tensor

DEVICE = torch.device(os.environ.get("MTL_CUDA_TEST_DEVICE", "cuda"))

cuda_only = pytest.mark.skipif(DEVICE.type != "cuda", reason="has a meaning on CUDA devices only")


def results(case: LossCase) -> list[Tensor]:
    """Total, losses, weights, valid counts and the gradient of each input."""
    terms = case.fused()
    return [*terms, *torch.autograd.grad(terms.total, case.inputs)]


def _reference(case: LossCase) -> list[Tensor]:
    terms = case.reference()
    gradients = torch.autograd.grad(terms.total, case.inputs, allow_unused=True)
    zeros = (torch.zeros_like(tensor) for tensor in case.inputs)
    return [*terms, *(zero if g is None else g for zero, g in zip(zeros, gradients))]


def assert_matches_reference(case: LossCase) -> None:
    """Against float64 on the CPU. PyTorch's own path in the case's types sets the bar.

    The error may be twice PyTorch's, and at least a few units in the last place of the largest
    number: those of float32 for scalars, those of its type for a gradient.
    """
    at_home = case.to(torch.device("cpu"))
    exact, theirs = _reference(at_home.to(torch.float64)), _reference(at_home)
    for own, their, true in zip(results(case), theirs, exact):
        assert own.shape == true.shape
        if not own.is_floating_point():
            assert torch.equal(own.cpu(), true)
            continue
        of_type = torch.finfo(
            torch.float32 if own.dim() < 2 and not _in_double(case) else own.dtype
        )
        own, their, true = (t.detach().cpu().double() for t in (own, their, true))
        assert torch.equal(own.isnan(), true.isnan())
        assert torch.equal(own.isinf(), true.isinf())
        # In float64 PyTorch is the reference itself: sums in another order are allowed for.
        units = max(4 * of_type.eps, 1e-12) * _largest(true)
        allowed = torch.maximum(2 * _largest(their - true), units)
        assert _largest(own - true) <= allowed


def _in_double(case: LossCase) -> bool:
    return all(tensor.dtype == torch.float64 for tensor in case.predictions.values())


def _largest(tensor: Tensor) -> Tensor:
    finite = tensor[tensor.isfinite()]
    return finite.abs().max() if finite.numel() else torch.zeros((), dtype=tensor.dtype)
