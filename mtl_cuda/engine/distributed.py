"""The processes that train together: who they are, and the little they tell one another.

`torchrun` starts them and says in the environment which one each is. Gradients are not handled
here: `DistributedDataParallel` averages them, and `mtl_cuda.joined` joins the losses.
"""

from __future__ import annotations

import gc
import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Value = TypeVar("Value")

_STORE_KEY = "mtl_cuda/port"
_SIGNS = ("gloo", "closure", "Connection")  # in messages about lost connections
_ANSWER, _PAUSE = 2.0, 0.1  # seconds for which a process is waited for that may be gone


class OtherRankError(RuntimeError):
    """Another process of the run failed; it tells the cause itself, too."""


class Ranks:
    """One process that trains alone; it tells itself what it knows, and waits for nobody.

    Attributes:
        index: of this process among those that train together, from 0.
        count: of these processes.
    """

    index = 0
    count = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes files and prints."""
        return self.index == 0

    def device_name(self, name: str) -> str:
        """The device of this process where the configuration says `name`."""
        return name

    def largest(self, values: Sequence[int]) -> list[int]:
        """The largest of each value over all processes."""
        return list(values)

    def gathered(self, value: Value) -> list[Value]:
        """What each process has passed, in their order."""
        return [value]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on the device where it is."""
        return tensor

    def on_main(self, function: Callable[[], Value]) -> Value:
        """Call a function in the main process alone; every process gets what it returns.

        Raises:
            OtherRankError: the function has raised, in the processes that did not call it.
        """
        return function()

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are means over all processes."""
        return module

    def share_buffers(self, module: nn.Module) -> None:
        """Give all processes the buffers of the main one."""


ALONE = Ranks()


class ProcessGroup(Ranks):
    """One of several processes that `torch.distributed` connects.

    Args:
        local: place of this process among those of its machine.
        on_gpu: whether they compute on GPUs.
    """

    def __init__(self, local: int, on_gpu: bool) -> None:
        self.index = distributed.get_rank()
        self.count = distributed.get_world_size()
        self._device = torch.device("cuda", local) if on_gpu else torch.device("cpu")

    def device_name(self, name: str) -> str:  # noqa: D102 (all methods: see `Ranks`)
        return str(self._device)

    def largest(self, values: Sequence[int]) -> list[int]:  # noqa: D102
        shared = torch.tensor(values, device=self._device)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return shared.tolist()

    def gathered(self, value: Value) -> list[Value]:  # noqa: D102
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def sum(self, tensor: Tensor) -> Tensor:  # noqa: D102
        summed = tensor.to(self._device, copy=True)
        distributed.all_reduce(summed)
        return summed.to(tensor.device)

    def on_main(self, function: Callable[[], Value]) -> Value:  # noqa: D102
        outcome: list[Any] = [None, None]
        failure = None
        if self.is_main:
            try:
                outcome = [None, function()]
            except Exception as error:
                failure = error
                outcome = [f"rank 0: {type(error).__name__}: {error}", None]
        distributed.broadcast_object_list(outcome)
        message, value = outcome
        if failure is not None:
            raise failure
        if message is not None:
            raise OtherRankError(message)
        return value

    def wrapped(self, module: nn.Module) -> nn.Module:  # noqa: D102
        gpu = self._device.type == "cuda"
        return nn.parallel.DistributedDataParallel(
            module, [self._device] if gpu else None, gradient_as_bucket_view=True
        )

    def share_buffers(self, module: nn.Module) -> None:  # noqa: D102
        for buffer in module.buffers():
            distributed.broadcast(buffer, 0)


@contextmanager
def joined_ranks(device: str, seconds: float) -> Iterator[Ranks]:
    """Join the processes that torchrun has started; alone where it was not used.

    Args:
        device: of the configuration: "auto", "cuda" (each process takes the GPU of its number on
            its machine) or "cpu".
        seconds: how long a process waits for another before it gives up.

    Raises:
        ValueError: the device is none of these, there are fewer GPUs than processes, or the
            environment tells the number of processes alone, as some schedulers of jobs do.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ValueError(
            f"WORLD_SIZE is {count} in the environment, but {', '.join(missing)} not set: start "
            "with torchrun, which sets all of them, or unset WORLD_SIZE to train in one process"
        )
    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = _on_gpu(device, local)
    if on_gpu:
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    timeout = timedelta(seconds=seconds)
    index = int(os.environ["RANK"])
    store = _store_of_this_start(index, timeout)
    distributed.init_process_group(
        backend, store=store, rank=index, world_size=count, timeout=timeout
    )
    try:
        with _telling_of_others():
            yield ProcessGroup(local, on_gpu)
    except BaseException as error:
        # NCCL might wait for the others: then the end of the process closes the group.
        if not on_gpu:
            _clear_frames(error)
            _leave_group()
        raise
    _leave_group()


def _clear_frames(error: BaseException | None) -> None:
    """Let go of what the functions held that an error has ended; its traceback stays readable."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _leave_group() -> None:
    """Close the connections, when nothing else holds the group.

    A `DistributedDataParallel` that outlived it would close them, and its destructor waits for a
    thread of gloo without giving up Python's lock, which that thread may need: a process whose last
    message had just come would then hang for ever (seen with torch 2.13).
    """
    gc.collect()
    distributed.destroy_process_group()


def _store_of_this_start(index: int, timeout: timedelta) -> distributed.Store:
    """Where the processes find one another's addresses.

    torchrun keeps one store for all its restarts, in which a process may read what those before the
    restart wrote (https://github.com/pytorch/pytorch/issues/135712). So that store only says where
    another is, which the first process makes anew; an old address is known by nobody answering.
    """
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return distributed.TCPStore(host, port, None, index == 0, timeout, wait_for_workers=False)
    kept = distributed.TCPStore(host, port, None, False, timeout)
    key = f"{_STORE_KEY}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if index == 0:
        store = distributed.TCPStore(host, 0, None, True, timeout, wait_for_workers=False)
        kept.set(key, str(store.port))
        return store
    deadline = time.monotonic() + timeout.total_seconds()
    while not _answers(host, port := int(kept.get(key))):
        if time.monotonic() > deadline:
            raise OtherRankError("the first process did not answer within run.rank_timeout")
        time.sleep(_PAUSE)
    return distributed.TCPStore(host, port, None, False, timeout)


def _answers(host: str, port: int) -> bool:
    """Whether somebody listens there; a TCPStore may end the process where nobody does."""
    try:
        socket.create_connection((host, port), _ANSWER).close()
    except OSError:
        return False
    return True


def _on_gpu(device: str, local: int) -> bool:
    if device not in ("auto", "cuda", "cpu"):
        raise ValueError(
            f"run.device: expected auto, cuda or cpu with several processes, each of which takes "
            f"the GPU of its own number, got {device!r}"
        )
    gpus = torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and gpus == 0):
        return False
    if local >= gpus:
        raise ValueError(
            f"--nproc-per-node: expected at most the {gpus} GPUs of this machine, got a process "
            f"number {local}"
        )
    return True


@contextmanager
def _telling_of_others() -> Iterator[None]:
    """Say in words that another process is gone; the libraries below tell of sockets."""
    try:
        yield
    except RuntimeError as error:
        is_from_below = any(sign in str(error) for sign in _SIGNS)
        if not is_from_below and not isinstance(error, distributed.DistError):
            raise
        raise OtherRankError(
            "another process of this run ended, or did not answer within run.rank_timeout; its own "
            f"message says why ({str(error).splitlines()[0]})"
        ) from error
