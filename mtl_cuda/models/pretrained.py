"""Load a published ImageNet checkpoint from a local file into a `ResNet`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from mtl_cuda.models.resnet import ResNet

_NAMES_SHOWN = 4


def load_pretrained_backbone(backbone: ResNet, path: str | os.PathLike[str]) -> None:
    """Copy the weights of a checkpoint file into ``backbone``, all of them or none.

    torchvision's ``resnet18-*.pth`` to ``resnet101-*.pth`` fit unchanged. The classifier
    ``fc.*`` has no counterpart here and is left out; ``num_batches_tracked``, which older
    checkpoints lack, may be missing.

    Args:
        backbone: A network of ``width`` 1; it may be on any device and have any output stride.
        path: A ``.safetensors`` file, or any other file written by ``torch.save``: a state dict,
            plain or under the key "state_dict" or "model", also with the prefix "module." that
            data-parallel training adds. Only tensors are unpickled (``weights_only=True``), so
            a file cannot run code.

    Raises:
        FileNotFoundError: No such file. Nothing is ever downloaded.
        ImportError: A ``.safetensors`` file without the package safetensors.
        ValueError: The backbone's width is not 1, the file is damaged or holds anything but
            tensors, or its names or shapes are not this network's.
    """
    path = Path(path)
    if backbone.width != 1:
        raise ValueError(
            f"pretrained weights fit width=1.0 only, and this {backbone.name} has "
            f"width={backbone.width:g}: leave out the checkpoint or the width"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"no pretrained weights at {str(path)!r}: give the path of a local file, downloaded "
            f"beforehand (torchvision publishes {backbone.name}-*.pth)"
        )
    read = _read_safetensors if path.suffix == ".safetensors" else _read_torch
    expected = backbone.state_dict()
    state = _with_batch_counters(_tensors_of(read(path), path), expected)
    problems = _differences(state, expected)
    if problems:
        raise ValueError(f"{path} does not fit {backbone.name}: " + "; ".join(problems))
    backbone.load_state_dict(state)


def _read_torch(path: Path) -> object:
    return _read(path, lambda: torch.load(path, map_location="cpu", weights_only=True))


def _read_safetensors(path: Path) -> object:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f"reading {path} needs: pip install safetensors") from error
    return _read(path, lambda: load_file(path, device="cpu"))


def _read(path: Path, load: Callable[[], object]) -> object:
    # A damaged file can make either reader raise almost anything.
    try:
        return load()
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable checkpoint of tensors: it is damaged, of another format, "
            "or holds Python objects, which are never unpickled"
        ) from error


def _tensors_of(checkpoint: object, path: Path) -> dict[str, Tensor]:
    """The state dict inside a checkpoint, without wrapper, "module." prefix and classifier."""
    for key in ("state_dict", "model"):
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
    if not isinstance(checkpoint, Mapping):
        raise ValueError(
            f"{path} holds a {type(checkpoint).__name__}; expected a dict of tensors by name"
        )
    for name, value in checkpoint.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"{path} holds a {type(value).__name__} under {name!r}; expected a dict of "
                'tensors by name, plain or under "state_dict" or "model"'
            )
    state = dict(checkpoint)
    consume_prefix_in_state_dict_if_present(state, "module.")
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _with_batch_counters(
    state: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    # Older published weights have none; with batch normalisation's default momentum they are idle.
    suffix = ".num_batches_tracked"
    counters = {name: value for name, value in expected.items() if name.endswith(suffix)}
    return counters | state


def _differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """One phrase for each kind of mismatch between a state dict and the expected one."""
    shapes = [
        f"{name} {list(state[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    kinds = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "of another shape": shapes,
    }
    return [f"{len(names)} {kind}: {_first(names)}" for kind, names in kinds.items() if names]


def _first(names: list[str]) -> str:
    more = [f"and {len(names) - _NAMES_SHOWN} more"] if len(names) > _NAMES_SHOWN else []
    return ", ".join(names[:_NAMES_SHOWN] + more)
