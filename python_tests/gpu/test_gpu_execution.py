"""How the loss runs on a CUDA device: streams, graphs, memory, bad input, the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from gpu_device import DEVICE, assert_matches_reference, cuda_only, results
from loss_cases import LossCase, make_case
from torch import Tensor

from mtl_cuda.functional import multi_task_loss
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask

pytestmark = pytest.mark.gpu

TASKS = {
    "plain": CrossEntropyTask(19),
    "class weights": CrossEntropyTask(19, class_weights=tuple(0.5 + c for c in range(19))),
    "scaled": CrossEntropyTask(19, likelihood="scaled_softmax"),
}
every_task = pytest.mark.parametrize("semantic", TASKS.values(), ids=list(TASKS))


def on_device(semantic: CrossEntropyTask | None = None, seed: int = 0) -> LossCase:
    case = make_case(2, 64, 96, 19, seed, semantic=semantic, dtype=torch.float32)
    return case.to(DEVICE)


def copy_into(target: LossCase, source: LossCase) -> None:
    """Other predictions in the same memory."""
    with torch.no_grad():
        for mine, theirs in zip(target.inputs, source.inputs):
            mine.copy_(theirs)


def assert_bitwise(given: list[Tensor], expected: list[Tensor]) -> None:
    assert all(torch.equal(one, other) for one, other in zip(given, expected, strict=True))


@every_task
def test_the_same_bits_in_a_hundred_runs(semantic: CrossEntropyTask) -> None:
    case = on_device(semantic)
    expected = results(case)
    for _ in range(99):
        assert_bitwise(results(case), expected)


@contextmanager
def no_synchronisation() -> Iterator[None]:
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@cuda_only
@every_task
@pytest.mark.parametrize("frozen", [None, "semantic", "instance"])
def test_the_host_never_waits(semantic: CrossEntropyTask, frozen: str | None) -> None:
    """Nor where a task's prediction wants no gradient; the first call may set things up."""
    case = on_device(semantic)
    if frozen:
        case.predictions[frozen].requires_grad_(False)
    inputs = [tensor for tensor in case.inputs if tensor.requires_grad]
    torch.autograd.grad(case.fused().total, inputs)
    with no_synchronisation():
        total = case.fused().total
        torch.autograd.grad(2 * total, inputs, retain_graph=True)
        torch.autograd.grad(total, inputs)


@cuda_only
@every_task
def test_a_captured_graph_replays(semantic: CrossEntropyTask) -> None:
    case, other = on_device(semantic), on_device(semantic, seed=1)
    expected = results(other)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            results(case)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = results(case)
    case.targets["semantic"].copy_(other.targets["semantic"])  # type: ignore[union-attr,arg-type]
    case.targets["instance"].copy_(other.targets["instance"])  # type: ignore[union-attr,arg-type]
    case.targets["depth"].copy_(other.targets["depth"])  # type: ignore[union-attr,arg-type]
    copy_into(case, other)
    for _ in range(3):
        graph.replay()
        assert_bitwise(captured, expected)


@cuda_only
def test_work_goes_to_the_current_stream() -> None:
    """The predictions arrive late on a second stream; a kernel elsewhere would not see them."""
    case, other = on_device(), on_device(seed=1)
    other.targets = case.targets
    expected = results(other)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(200_000_000)  # cycles: about 0.1 s
        copy_into(case, other)
        given = results(case)
    torch.cuda.synchronize()
    assert_bitwise(given, expected)


@cuda_only
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_another_device_than_the_current_one() -> None:
    expected = [tensor.cpu() for tensor in results(on_device())]
    given = results(on_device().to(torch.device("cuda:1")))
    assert torch.cuda.current_device() == 0
    assert_bitwise([tensor.cpu() for tensor in given], expected)


@cuda_only
@pytest.mark.parametrize("label", [19, 254, 2**31 - 1, -1, 2**32 + 3, -(2**40)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_bad_label_makes_the_loss_nan(label: int, layout: torch.memory_format) -> None:
    case = on_device()
    leaf = case.predictions["semantic"].detach().contiguous(memory_format=layout)
    case.predictions["semantic"] = leaf.requires_grad_()
    labels = case.targets["semantic"]
    assert isinstance(labels, Tensor)
    kept = labels[1, 7, 11].clone()
    labels[1, 7, 11] = label
    terms = case.fused()
    assert terms.total.isnan()
    assert terms.losses.isnan().tolist() == [True, False, False]
    torch.autograd.grad(terms.total, case.inputs)
    torch.cuda.synchronize()  # nothing was read or written out of bounds
    labels[1, 7, 11] = kept
    assert_matches_reference(case)


@cuda_only
@pytest.mark.parametrize("bad", [-1, 65536, 2**33])
def test_a_bad_id_makes_the_loss_nan(bad: int) -> None:
    case = on_device()
    ids = case.targets["instance"]
    assert isinstance(ids, Tensor)
    ids[0, 3, 4] = bad
    assert case.fused().losses.isnan().tolist() == [False, True, False]
    torch.cuda.synchronize()
    ids[0, 3, 4] = 65535
    terms = case.fused()
    assert terms.total.isfinite()


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_validation_names_the_place(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "environment":
        monkeypatch.setenv("MTL_CUDA_VALIDATE", "1")
    else:
        monkeypatch.delenv("MTL_CUDA_VALIDATE", raising=False)
    for name, task, channels, bad, message in (
        ("semantic", CrossEntropyTask(5), 5, 7, r"classes 0\.\.4 or ignore_index=255, got 7"),
        ("instance", InstanceOffsetTask(), 2, -3, "instance ids 0 .* got -3"),
    ):
        target = torch.zeros(2, 6, 8, dtype=torch.int32, device=DEVICE)
        target[1, 2, 3] = bad
        predictions = {name: torch.zeros(2, channels, 6, 8, device=DEVICE)}
        with pytest.raises(ValueError, match=f"{message} at image 1, row 2, column 3"):
            multi_task_loss(
                predictions, {name: target}, {name: task}, weights={name: 1.0},
                validate=by == "argument",
            )  # fmt: skip


@cuda_only
def test_out_of_memory_raises_and_the_next_call_works() -> None:
    case = make_case(4, 512, 512, 19, dtype=torch.float32).to(DEVICE)  # 76 MiB of logits
    torch.cuda.empty_cache()
    total_memory = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction(
        (torch.cuda.memory_reserved() + (8 << 20)) / total_memory
    )
    try:
        with pytest.raises(torch.OutOfMemoryError):
            case.fused()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert all(tensor.isfinite().all() for tensor in results(case)[4:])


@cuda_only
def test_memory_of_a_step_is_that_of_its_gradients() -> None:
    case = make_case(2, 256, 512, 19, dtype=torch.float32).to(DEVICE)
    results(case)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    results(case)
    gradients = sum(p.numel() * p.element_size() for p in case.predictions.values())
    instances = 2 * 65536 * 40  # the table of ids and their centroids
    assert torch.cuda.max_memory_allocated() - before <= gradients + instances + (2 << 20)
