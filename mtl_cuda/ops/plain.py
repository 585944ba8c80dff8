"""Which calls of an op need no dispatcher: those in which it would only ask autograd.

The dispatcher takes a fifth of the 85 microseconds that the host needs for a small loss, forward
and backward: it converts every argument and result, once to reach autograd and again to reach the
kernel. So a call on plain tensors goes to the kernel at once. Whatever else may take part has a
dispatch key or a mode by which PyTorch itself knows of it, and sends the call to the dispatcher.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch._C import DispatchKey, DispatchKeySet


def _bits(*names: str) -> int:
    bits = 0
    for name in names:
        bits |= DispatchKeySet(getattr(DispatchKey, name)).raw_repr()
    return bits


# The kernels, autograd, and keys for which the package's ops have nothing. All others take part:
# fake, sparse, lazily negated or zero tensors, transforms, tracers, modes, other devices.
_ALLOWED = _bits("CPU", "CUDA", "AutogradCPU", "AutogradCUDA")
_ALLOWED |= _bits("ADInplaceOrView", "BackendSelect", "AutocastCPU", "AutocastCUDA")
_OTHERS = ~_ALLOWED
_AUTOGRAD = _bits("AutogradFunctionality")


def is_plain_call(tensors: Iterable[Tensor | None]) -> bool:
    """Whether the dispatcher would go from autograd straight to the kernel, and nobody watches."""
    if torch.compiler.is_compiling() or torch._C._len_torch_function_stack():
        return False
    if torch.autograd._profiler_enabled():  # it shall name the op
        return False
    if torch._C._dispatch_tls_local_exclude_set().raw_repr() & _AUTOGRAD:
        return False
    keys: int = torch._C._dispatch_tls_local_include_set().raw_repr()
    for tensor in tensors:
        if tensor is None:
            continue
        if type(tensor) is not Tensor and type(tensor) is not nn.Parameter:
            return False
        keys |= torch._C._dispatch_keys(tensor).raw_repr()
    return not keys & _OTHERS
