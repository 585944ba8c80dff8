"""Classes from low-resolution logits on a CUDA device: values against float64 on the CPU."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from gpu_device import DEVICE, cuda_only
from loss_cases import with_layout
from torch import Tensor

from mtl_cuda.functional import argmax_upsampled

pytestmark = pytest.mark.gpu

TYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]


def _randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def _all(
    logits: Tensor, size: tuple[int, int], align_corners: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Classes as int64, probability and entropy of logits on the device, on the CPU."""
    result = argmax_upsampled(
        logits, size, align_corners, dtype=torch.int64, probability=True, entropy=True
    )
    alone = argmax_upsampled(logits, size, align_corners, dtype=torch.int64)
    assert torch.equal(alone.classes, result.classes)
    assert result.probability is not None
    assert result.entropy is not None
    return result.classes.cpu(), result.probability.cpu(), result.entropy.cpu()


def _assert_same(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> None:
    """Against float64; the class may be another one where rounding decides."""
    eps = torch.finfo(torch.float64 if logits.dtype == torch.float64 else torch.float32).eps
    full = F.interpolate(logits.cpu().double(), size, mode="bilinear", align_corners=align_corners)
    chances = full.softmax(dim=1)
    classes, probability, entropy = _all(logits, size, align_corners)
    chosen = full.gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(chosen, full.amax(dim=1), rtol=4 * eps, atol=8 * eps)
    sums = torch.special.entr(chances).sum(dim=1)
    for mine, exact in [(probability, chances.amax(dim=1)), (entropy, sums)]:
        torch.testing.assert_close(mine.double(), exact, rtol=64 * eps, atol=64 * eps)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("classes", [1, 19, 32, 33, 300])
@pytest.mark.parametrize("align_corners", [False, True])
def test_every_kernel(dtype: torch.dtype, classes: int, align_corners: bool) -> None:
    _assert_same((3 * _randn(2, classes, 6, 9)).to(DEVICE, dtype), (48, 72), align_corners)


@pytest.mark.parametrize("full", [(3, 9), (6, 9), (12, 18), (96, 144), (61, 310), (5, 7)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_every_geometry(full: tuple[int, int], align_corners: bool) -> None:
    _assert_same(_randn(2, 5, 6, 9).to(DEVICE), full, align_corners)


@pytest.mark.parametrize("layout", ["channels_last", "transposed", "expanded", "sliced"])
def test_layouts(layout: str) -> None:
    _assert_same(with_layout(_randn(2, 5, 6, 9).to(DEVICE), layout), (24, 36))


@pytest.mark.parametrize("classes", [9, 40])
def test_ties_and_what_is_no_number(classes: int) -> None:
    assert not argmax_upsampled(
        torch.zeros(1, classes, 2, 3, device=DEVICE), (16, 24)
    ).classes.any()
    logits = _randn(1, classes, 4, 6).float()
    logits[0, 3, 1, 2] = torch.nan
    logits[0, 5, 2, 5] = torch.inf
    logits[0, :, 3, 0] = -torch.inf
    expected = argmax_upsampled(logits, (32, 48), dtype=torch.int64, probability=True, entropy=True)
    for mine, theirs in zip(_all(logits.to(DEVICE), (32, 48)), expected):
        torch.testing.assert_close(mine, theirs, equal_nan=True)
    in_bytes = argmax_upsampled(logits.to(DEVICE), (32, 48)).classes
    assert torch.equal(in_bytes.cpu(), expected.classes.byte())


def test_an_empty_batch() -> None:
    assert argmax_upsampled(torch.zeros(0, 3, 2, 2, device=DEVICE), (4, 4)).classes.numel() == 0


@cuda_only
def test_more_than_2_to_31_results() -> None:
    logits = torch.zeros(1, 2, 2, 2, device=DEVICE)
    logits[0, 1, :, 1] = 1
    classes = argmax_upsampled(logits, (2**16 + 8, 2**15 + 8)).classes[0]
    half = classes.shape[1] // 4
    assert classes[:, half:].all()
    assert not classes[:, :half].any()


@cuda_only
def test_memory_and_synchronisation() -> None:
    """Only the result is allocated, and the host never waits."""
    logits = torch.randn(2, 19, 64, 128, device=DEVICE)
    argmax_upsampled(logits, (512, 1024))
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    torch.cuda.set_sync_debug_mode("error")
    try:
        classes = argmax_upsampled(logits, (512, 1024)).classes
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.max_memory_allocated() - before <= classes.numel() + 4096


@cuda_only
def test_cuda_graph() -> None:
    logits = torch.randn(1, 19, 16, 16, device=DEVICE)
    argmax_upsampled(logits, (128, 128))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = argmax_upsampled(logits, (128, 128)).classes
    logits.copy_(torch.randn_like(logits))
    graph.replay()
    assert torch.equal(captured, argmax_upsampled(logits, (128, 128)).classes)
