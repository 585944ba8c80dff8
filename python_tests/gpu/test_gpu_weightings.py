"""The weightings on a CUDA device: the numbers of the CPU, and nobody waits for the device."""

from __future__ import annotations

import copy

import pytest
import torch
from gpu_device import DEVICE, cuda_only
from loss_cases import LossCase, make_case
from torch import Tensor

from mtl_cuda import MultiTaskLoss
from mtl_cuda.weighting import NAMES

pytestmark = pytest.mark.gpu


def epochs(criterion: MultiTaskLoss, case: LossCase, count: int) -> list[Tensor]:
    """Totals, weights and gradients of steps that each end an epoch."""
    device = next(iter(case.predictions.values())).device
    shared = torch.ones((), device=device, requires_grad=True)
    results = []
    for step in range(count):
        predictions = {
            name: shared * prediction * 0.9 ** (step * index)
            for index, (name, prediction) in enumerate(case.predictions.items())
        }
        out = criterion(predictions, case.targets, [shared])
        results += [out.total, *out.weights.values()]
        results += torch.autograd.grad(out.total, [*case.inputs, *criterion.parameters()])
        criterion.end_epoch()
    return results


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_the_cpu(name: str) -> None:
    case = make_case(2, 16, 24, fixed=True, dtype=torch.float32)
    criterion = MultiTaskLoss(case.tasks, name)
    expected = epochs(copy.deepcopy(criterion), case, 4)
    given = epochs(criterion.to(DEVICE), case.to(DEVICE), 4)
    for own, reference in zip(given, expected, strict=True):
        torch.testing.assert_close(own.cpu(), reference, rtol=1e-4, atol=1e-6)


@cuda_only
@pytest.mark.parametrize("name", NAMES)
def test_no_step_waits_for_the_device(name: str) -> None:
    case = make_case(2, 16, 24, fixed=True, dtype=torch.float32).to(DEVICE)
    criterion = MultiTaskLoss(case.tasks, name).to(DEVICE)
    epochs(criterion, case, 2)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        epochs(criterion, case, 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
