"""Predictions of more than 2**31 elements on a CUDA device.

PyTorch's own loss is no reference there (its backward pass overflowed for years), so whole results
are put together from rows, and gradients compared on rows before, at and after the 2**31st element.
"""

from __future__ import annotations

import pytest
import torch
from gpu_device import DEVICE, cuda_only
from torch import Tensor

from mtl_cuda.functional import multi_task_loss
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask

pytestmark = pytest.mark.gpu

CLASSES = 19
ROWS = 128  # of one slice


def random_logits(height: int, width: int, dtype: torch.dtype, layout: str) -> Tensor:
    shape = (1, CLASSES, height, width)
    torch.manual_seed(0)
    if layout == "channels_last":
        logits = torch.empty(shape, dtype=dtype, device=DEVICE, memory_format=torch.channels_last)
    elif layout == "transposed":
        logits = torch.empty((1, CLASSES, width, height), dtype=dtype, device=DEVICE).mT
    else:
        logits = torch.empty(shape, dtype=dtype, device=DEVICE)
    for first in range(0, height, ROWS):
        logits[:, :, first : first + ROWS].normal_()
    return logits


def expected_loss(logits: Tensor, labels: Tensor) -> float:
    total = 0.0
    for first in range(0, logits.shape[2], ROWS):
        rows = logits[:, :, first : first + ROWS].double()
        target = labels[:, None, first : first + ROWS].long()
        total += (rows.logsumexp(1) - rows.gather(1, target)[:, 0]).sum().item()
    return total / labels.numel()


def check_cross_entropy(height: int, width: int, dtype: torch.dtype, layout: str) -> None:
    logits = random_logits(height, width, dtype, layout).requires_grad_()
    labels = torch.randint(0, CLASSES, (1, height, width), dtype=torch.uint8, device=DEVICE)
    tasks = {"semantic": CrossEntropyTask(CLASSES)}
    pixels = labels.numel()
    terms = multi_task_loss(
        {"semantic": logits}, {"semantic": labels}, tasks, weights={"semantic": 1.0}
    )
    assert terms.valid.item() == pixels
    values = logits.detach()
    assert terms.losses.item() == pytest.approx(expected_loss(values, labels), rel=1e-5)
    # A scale of N keeps the gradients of 1/N within the range of a half type.
    (gradient,) = torch.autograd.grad(
        terms.total, [logits], grad_outputs=_scale(terms.total, pixels)
    )
    middle = min(2**31 // (CLASSES * width), height - ROWS)
    for first in {0, max(0, middle - ROWS // 2), height // 2, height - ROWS}:
        rows = slice(first, first + ROWS)
        wanted = values[:, :, rows].double().softmax(1)
        wanted.scatter_add_(
            1,
            labels[:, None, rows].long(),
            torch.full((1, 1, ROWS, width), -1.0, dtype=torch.float64, device=DEVICE),
        )
        torch.testing.assert_close(
            gradient[:, :, rows].double(), wanted, rtol=2 * torch.finfo(dtype).eps, atol=1e-5
        )


def _scale(total: Tensor, factor: float) -> Tensor:
    return torch.full_like(total, factor)


def need_memory(gibibytes: float) -> None:
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    if free < gibibytes * 2**30:
        pytest.skip(f"needs {gibibytes} GiB of free GPU memory, {free / 2**30:.1f} GiB are free")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed"])
def test_the_check_itself_on_a_small_case(dtype: torch.dtype, layout: str) -> None:
    check_cross_entropy(300, 40, dtype, layout)


@cuda_only
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed"])
def test_more_than_2_to_the_31_logits(layout: str) -> None:
    height, width = 10_640, 10_640
    assert CLASSES * height * width > 2**31
    need_memory(14)
    check_cross_entropy(height, width, torch.bfloat16, layout)


@cuda_only
def test_more_than_2_to_the_31_offsets() -> None:
    """[1,2,H,W]: the sums over pixels of the instances need 64 bits, too."""
    height, width = 32_800, 32_800
    assert 2 * height * width > 2**31
    need_memory(14)
    offsets = torch.zeros(1, 2, height, width, dtype=torch.bfloat16, device=DEVICE)
    ids = torch.zeros(1, height, width, dtype=torch.uint8, device=DEVICE)
    ids[:, -5:, -9:] = 1  # centroid (W - 5, H - 3): vectors of -4..4 and -2..2
    tasks = {"instance": InstanceOffsetTask()}
    terms = multi_task_loss(
        {"instance": offsets.requires_grad_()}, {"instance": ids}, tasks, weights={"instance": 1.0}
    )
    assert terms.valid.item() == 45
    assert terms.losses.item() == pytest.approx(20 / 9 + 6 / 5, rel=1e-6)
    (gradient,) = torch.autograd.grad(
        terms.total, [offsets], grad_outputs=_scale(terms.total, 45.0)
    )
    corner = gradient[0, :, -5:, -9:].float()
    steps = torch.tensor([-1.0] * 4 + [0.0] + [1.0] * 4, device=DEVICE)
    torch.testing.assert_close(corner[0], steps.expand(5, 9))
    torch.testing.assert_close(corner[1], steps[2:7, None].expand(5, 9))
    assert torch.count_nonzero(gradient).item() == 5 * 8 + 4 * 9
