"""What the loss refuses and how it says so; empty and fully ignored inputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from loss_cases import LossCase, make_case
from torch import Tensor

from mtl_cuda import MultiTaskLoss
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task


def _set_label(value: int, dtype: torch.dtype = torch.int64) -> Callable[[LossCase], None]:
    def spoil(case: LossCase) -> None:
        labels = case.targets["semantic"].to(dtype)  # type: ignore[union-attr]
        labels[1, 3, 4] = value
        labels[1, 3, 7] = value
        case.targets["semantic"] = labels

    return spoil


def _set_id(value: int) -> Callable[[LossCase], None]:
    def spoil(case: LossCase) -> None:
        case.targets["instance"][1, 2, 5] = value  # type: ignore[index]

    return spoil


def _put(where: str, name: str, change: Callable[[Tensor], object]) -> Callable[[LossCase], None]:
    def spoil(case: LossCase) -> None:
        mapping = getattr(case, where)
        mapping[name] = change(mapping[name])

    return spoil


REFUSED = {
    "label too large": (_set_label(5), ValueError, "got 5 at image 1, row 3, column 4"),
    "label negative": (_set_label(-1), ValueError, r"targets\['semantic'\].*got -1 at image 1"),
    "label uint8": (_set_label(200, torch.uint8), ValueError, "classes 0..4 or ignore_index=255"),
    "label beyond 32 bits": (_set_label(2**40 + 1), ValueError, f"got {2**40 + 1}"),
    "id negative": (_set_id(-3), ValueError, r"targets\['instance'\].*got -3 at image 1, row 2"),
    "id too large": (_set_id(65536), ValueError, "0 .none. to 65535"),
    "prediction no tensor": (
        _put("predictions", "depth", lambda t: t.tolist()),
        TypeError,
        r"predictions\['depth'\]: expected a tensor, got list",
    ),
    "prediction of integers": (
        _put("predictions", "depth", lambda t: t.int()),
        TypeError,
        r"predictions\['depth'\]: expected a tensor of float32",
    ),
    "prediction rank": (
        _put("predictions", "depth", lambda t: t[0]),
        ValueError,
        r"expected \[B,1,h,w\]",
    ),
    "prediction channels": (
        _put("predictions", "semantic", lambda t: t[:, :4]),
        ValueError,
        r"predictions\['semantic'\]: expected \[B,5,h,w\]",
    ),
    "target batch": (
        _put("targets", "semantic", lambda t: t[:1]),
        ValueError,
        r"targets\['semantic'\]: expected a batch of 2",
    ),
    "target rank": (
        _put("targets", "semantic", lambda t: t[:, None]),
        ValueError,
        r"targets\['semantic'\]: expected \[B,H,W\]",
    ),
    "target of floats": (
        _put("targets", "semantic", lambda t: t.float()),
        TypeError,
        r"targets\['semantic'\]: expected a tensor of uint8",
    ),
    "depth of integers": (
        _put("targets", "depth", lambda t: t.nan_to_num().int()),
        TypeError,
        r"targets\['depth'\]: expected a tensor of float32",
    ),
    "depth channels": (
        _put("targets", "depth", lambda t: t.repeat(1, 2, 1, 1)),
        ValueError,
        r"targets\['depth'\]: expected \[B,1,H,W\] or \[B,H,W\]",
    ),
    "mask type": (
        _put("targets", "depth", lambda t: (t, torch.ones(2, 9, 37))),
        TypeError,
        r"mask.*expected a tensor of bool",
    ),
    "mask shape": (
        _put("targets", "depth", lambda t: (t, torch.ones(2, 9, 36, dtype=torch.bool))),
        ValueError,
        r"mask.*expected \[B,H,W\] = \[2, 9, 37\], got \[2, 9, 36\]",
    ),
    "device of a target": (
        _put("targets", "semantic", lambda t: t.to("meta")),
        ValueError,
        r"targets\['semantic'\]: expected a tensor on cpu.*got one on meta",
    ),
    "device of a prediction": (
        _put("predictions", "depth", lambda t: t.to("meta")),
        ValueError,
        r"predictions\['depth'\]: expected a tensor on cpu",
    ),
}


@pytest.mark.parametrize(("spoil", "error", "message"), REFUSED.values(), ids=list(REFUSED))
def test_refused(spoil: Callable[[LossCase], None], error: type[Exception], message: str) -> None:
    case = make_case()
    spoil(case)
    with pytest.raises(error, match=message):
        case.fused()
    make_case().fused()  # and the next call works


def test_missing_and_extra_names() -> None:
    case = make_case()
    case.targets["unused"] = torch.zeros(1)
    case.fused()
    del case.predictions["depth"]
    with pytest.raises(ValueError, match=r"predictions: expected an entry .* none for \['depth'\]"):
        case.fused()


def test_log_variances() -> None:
    case = make_case()
    case.log_variances = torch.zeros(2)
    with pytest.raises(ValueError, match=r"log_variances: expected .* \[3\], got \[2\]"):
        case.fused()
    case.log_variances = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(TypeError, match="log_variances"):
        case.fused()
    case.log_variances = None
    with pytest.raises(ValueError, match="exactly one"):
        case.fused()


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_fixed_weights_out_of_range(weight: float) -> None:
    case = make_case(fixed=True)
    assert case.weights is not None
    case.weights["depth"] = weight
    with pytest.raises(ValueError, match=r"weights\['depth'\]"):
        case.fused()


def test_empty_batch() -> None:
    case = make_case(batch=0)
    terms = case.fused()
    assert terms.total.item() == 0.0
    assert terms.valid.tolist() == [0, 0, 0]
    for tensor, gradient in zip(case.inputs, torch.autograd.grad(terms.total, case.inputs)):
        assert gradient.shape == tensor.shape
        assert not gradient.any()


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_empty_pictures(size: tuple[int, int]) -> None:
    assert make_case(2, *size).fused().total.item() == 0.0


def test_a_task_without_valid_pixels_adds_nothing() -> None:
    case = make_case()
    case.targets = {
        "semantic": torch.full((2, 9, 37), 255),
        "instance": torch.zeros(2, 9, 37, dtype=torch.int32),
        "depth": torch.full((2, 1, 9, 37), torch.nan),
    }
    terms = case.fused()
    assert terms.total.item() == 0.0
    assert terms.losses.tolist() == [0.0, 0.0, 0.0]
    for gradient in torch.autograd.grad(terms.total, case.inputs):
        assert not gradient.any()


def test_class_weights_that_leave_nothing() -> None:
    weights = (0.0, 1.0, 1.0, 1.0, 1.0)
    case = make_case(semantic=CrossEntropyTask(5, class_weights=weights))
    case.targets["semantic"] = torch.zeros(2, 9, 37, dtype=torch.uint8)
    terms = case.fused()
    assert terms.losses[0].item() == 0.0
    assert not torch.autograd.grad(terms.total, [case.predictions["semantic"]])[0].any()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CrossEntropyTask(0), "num_classes"),
        (lambda: CrossEntropyTask(3, class_weights=(1.0, 2.0)), "class_weights: expected 3"),
        (lambda: CrossEntropyTask(2, class_weights=(1.0, -2.0)), "class_weights"),
        (lambda: CrossEntropyTask(3, label_smoothing=1.5), "label_smoothing"),
        (lambda: CrossEntropyTask(3, likelihood="gaussian"), "likelihood: expected one of softmax"),
        (lambda: L1Task(0), "channels"),
        (lambda: InstanceOffsetTask("softmax"), "likelihood"),
        (lambda: MultiTaskLoss({}), "tasks"),
        (lambda: MultiTaskLoss({"a": L1Task()}, "magic"), "weighting: expected one of uncertainty"),
        (lambda: MultiTaskLoss({"a": L1Task()}, {"b": 1.0}), "weighting: expected one number"),
    ],
)
def test_tasks_and_module_refuse(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
