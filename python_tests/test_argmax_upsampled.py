"""Classes from low-resolution logits against interpolation, argmax and softmax in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from loss_cases import with_layout
from torch import Tensor

from mtl_cuda import reference
from mtl_cuda.functional import argmax_upsampled

TYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
# Logits and results: whole ratios, ratios of many phases, one pixel alone, more than one tile and
# range of rows, fractions, smaller results, the same size.
SIZES = [
    ((3, 4), (24, 32)),
    ((4, 5), (16, 20)),
    ((5, 8), (80, 128)),
    ((3, 20), (7, 40)),
    ((5, 7), (5, 21)),
    ((2, 3), (50, 192)),
    ((1, 1), (8, 8)),
    ((7, 129), (56, 1032)),
    ((40, 33), (320, 264)),
    ((9, 300), (17, 611)),
    ((16, 33), (9, 12)),
    ((13, 37), (13, 37)),
]


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _all(
    logits: Tensor, size: tuple[int, int], align_corners: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Classes as int64, probability, entropy."""
    result = argmax_upsampled(
        logits, size, align_corners, dtype=torch.int64, probability=True, entropy=True
    )
    assert result.probability is not None
    assert result.entropy is not None
    return result.classes, result.probability, result.entropy


def _interpolated(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """As F.interpolate, but what has weight 0 does not count, where it makes NaN of infinity."""
    full = F.interpolate(logits.where(logits.isfinite(), 0.0), size, mode="bilinear")
    for bad, places in [
        (torch.nan, logits.isnan()),
        (torch.inf, logits.isposinf()),
        (-torch.inf, logits.isneginf()),
    ]:
        reached = F.interpolate(places.to(logits), size, mode="bilinear") > 0
        full += torch.zeros_like(full).masked_fill_(reached, bad)
    return full


def _assert_same(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> None:
    """All results against float64; the class may be another one where rounding decides."""
    eps = torch.finfo(torch.float64 if logits.dtype == torch.float64 else torch.float32).eps
    full = F.interpolate(logits.double(), size, mode="bilinear", align_corners=align_corners)
    chances = full.softmax(dim=1)
    classes, probability, entropy = _all(logits, size, align_corners)
    chosen = full.gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(chosen, full.amax(dim=1), rtol=4 * eps, atol=8 * eps)
    if logits.dtype == torch.float64:
        assert torch.equal(classes, full.argmax(dim=1))
    sums = torch.special.entr(chances).sum(dim=1)
    for mine, exact in [(probability, chances.amax(dim=1)), (entropy, sums)]:
        torch.testing.assert_close(mine.double(), exact, rtol=64 * eps, atol=64 * eps)
    alone = argmax_upsampled(logits, size, align_corners, dtype=torch.int64)
    assert torch.equal(alone.classes, classes)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("low", "full"), SIZES)
def test_every_geometry(low: tuple[int, int], full: tuple[int, int], align_corners: bool) -> None:
    _assert_same(_randn(2, 5, *low), full, align_corners)
    _assert_same(_randn(2, 5, *low).float(), full, align_corners)


@given(
    low=st.tuples(st.integers(1, 9), st.integers(1, 40)),
    full=st.tuples(st.integers(1, 30), st.integers(1, 90)),
    classes=st.integers(1, 30),
    align_corners=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_geometry(
    low: tuple[int, int], full: tuple[int, int], classes: int, align_corners: bool, seed: int
) -> None:
    _assert_same(_randn(1, classes, *low, seed=seed), full, align_corners)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("classes", [1, 2, 5, 16, 19, 33, 150, 256, 300])
@pytest.mark.parametrize("width", [32, 30], ids=["whole ratio", "fraction"])
def test_types_and_number_of_classes(dtype: torch.dtype, classes: int, width: int) -> None:
    logits = (3 * _randn(1, classes, 3, 4)).to(dtype)
    _assert_same(logits, (7, width))
    real = torch.float64 if dtype == torch.float64 else torch.float32
    assert [result.dtype for result in _all(logits, (7, width))] == [torch.int64, real, real]


@pytest.mark.parametrize("width", [40, 37], ids=["whole ratio", "fraction"])
@pytest.mark.parametrize(
    "layout", ["channels_last", "transposed", "expanded", "sliced", "offset by one"]
)
def test_layouts(layout: str, width: int) -> None:
    _assert_same(with_layout(_randn(2, 5, 3, 10), layout), (12, width))


@pytest.mark.parametrize("width", [40, 37], ids=["whole ratio", "fraction"])
def test_class_types_hold_the_same(width: int) -> None:
    logits = _randn(2, 256, 3, 10)
    in_bytes = argmax_upsampled(logits, (12, width))
    assert in_bytes.classes.dtype == torch.uint8
    assert in_bytes.probability is None
    assert in_bytes.entropy is None
    wide = argmax_upsampled(logits, (12, width), dtype=torch.int64).classes
    assert torch.equal(in_bytes.classes.long(), wide)
    assert in_bytes.classes.max() > 127


@pytest.mark.parametrize("classes", [5, 33])
@pytest.mark.parametrize("size", [(16, 40), (15, 37)], ids=["whole ratio", "fraction"])
def test_of_ties_the_smallest_class_wins(size: tuple[int, int], classes: int) -> None:
    logits = _randn(2, classes, 4, 10).float()
    logits[:, 3] = logits[:, 1]
    logits[:, 4] = logits[:, 1]
    found = argmax_upsampled(logits, size, dtype=torch.int64).classes
    assert not torch.isin(found, torch.tensor([3, 4])).any()
    assert (found == 1).any()
    assert not argmax_upsampled(torch.full_like(logits, -2.5), size).classes.any()


@pytest.mark.parametrize("size", [(16, 40), (15, 37)], ids=["whole ratio", "fraction"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pixel_without_a_number_has_no_class(dtype: torch.dtype, size: tuple[int, int]) -> None:
    for bad_class in range(9):
        logits = _randn(1, 9, 4, 10).to(dtype)
        logits[0, bad_class, 1, 3] = torch.nan
        reached = _interpolated(logits, size).isnan().any(dim=1)
        classes, probability, entropy = _all(logits, size)
        assert 0 < reached.sum() < reached.numel()
        for missing in (classes == -1, probability.isnan(), entropy.isnan()):
            assert torch.equal(missing, reached)
        assert torch.equal(argmax_upsampled(logits, size).classes, classes.byte())


@pytest.mark.parametrize("size", [(16, 40), (15, 37)], ids=["whole ratio", "fraction"])
def test_infinite_logits(size: tuple[int, int]) -> None:
    logits = _randn(1, 9, 4, 10)
    logits[0, 0, 0, 0] = -torch.inf
    logits[0, 5, 1, 3] = torch.inf
    logits[0, :, 3, 9] = -torch.inf
    full = _interpolated(logits, size)
    expected = reference.argmax_upsampled(
        full, size, dtype=torch.int64, probability=True, entropy=True
    )
    given_ = _all(logits, size)
    for mine, theirs in zip(given_, expected):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12, equal_nan=True)
    assert (given_[0] == 5).any()
    assert given_[1].isnan().any()


def test_entropy_of_the_surest_and_of_the_least_sure() -> None:
    logits = torch.zeros(1, 8, 2, 3)
    _, probability, entropy = _all(logits, (4, 6))
    torch.testing.assert_close(probability, torch.full((1, 4, 6), 1 / 8))
    torch.testing.assert_close(entropy, torch.full((1, 4, 6), 8.0).log())
    logits[:, 4] = 1e30  # all others underflow
    _, probability, entropy = _all(logits, (4, 6))
    assert torch.equal(probability, torch.ones(1, 4, 6))
    assert torch.equal(entropy, torch.zeros(1, 4, 6))


def test_the_same_bits_for_every_number_of_threads() -> None:
    logits = _randn(2, 19, 30, 50).float()
    before = torch.get_num_threads()
    try:
        outcomes = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            outcomes.append(_all(logits, (240, 400)))
    finally:
        torch.set_num_threads(before)
    for other in outcomes[1:]:
        assert all(torch.equal(a, b) for a, b in zip(outcomes[0], other))


def test_no_gradient() -> None:
    logits = _randn(1, 3, 2, 2).requires_grad_()
    results = _all(logits, (4, 4))
    assert not any(result.requires_grad for result in results)


def test_empty_batch() -> None:
    results = _all(torch.zeros(0, 3, 2, 2), (4, 6))
    assert [result.shape for result in results] == [(0, 4, 6)] * 3


def test_refused() -> None:
    logits = torch.zeros(1, 3, 2, 2)
    with pytest.raises(TypeError, match="logits: expected a tensor, got list"):
        argmax_upsampled([1.0], (4, 4))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="logits: expected a tensor of float32"):
        argmax_upsampled(logits.int(), (4, 4))
    with pytest.raises(TypeError, match=r"dtype: expected torch.uint8 or torch.int64, got .*int32"):
        argmax_upsampled(logits, (4, 4), dtype=torch.int32)
    for shape in [(3, 2, 2), (1, 0, 2, 2), (1, 3, 0, 2), (1, 3, 2, 0)]:
        with pytest.raises(ValueError, match=r"logits: expected \[B,C,h,w\]"):
            argmax_upsampled(torch.zeros(shape), (4, 4))
    for size in [(4,), (4, 0), (-1, 4), (4, 4, 4)]:
        with pytest.raises(ValueError, match=r"size: expected \(H, W\) of 1 at least"):
            argmax_upsampled(logits, size)
    with pytest.raises(ValueError, match=r"dtype: expected torch\.int64 for 257 classes"):
        argmax_upsampled(torch.zeros(1, 257, 2, 2), (4, 4))
    with pytest.raises(NotImplementedError, match=r"reference\.argmax_upsampled runs"):
        argmax_upsampled(logits.to("meta"), (4, 4))


def test_opcheck() -> None:
    for wanted in [(False, False), (True, False), (True, True)]:
        arguments = (_randn(2, 3, 4, 5), 16, 20, False, torch.uint8, *wanted)
        torch.library.opcheck(torch.ops.mtl_cuda.argmax_upsampled, arguments)


def test_compiles_as_one_graph() -> None:
    compiled = torch.compile(argmax_upsampled, fullgraph=True, backend="aot_eager", dynamic=True)
    compiled_all = torch.compile(_all, fullgraph=True, backend="aot_eager", dynamic=True)
    for shape in [(2, 3, 4, 5), (1, 3, 6, 7)]:
        logits = _randn(*shape).requires_grad_()
        size = (shape[2] * 8, shape[3] * 8)
        assert compiled(logits, size).probability is None
        expected = _all(logits, size)
        assert all(map(torch.equal, compiled_all(logits, size), expected))
