"""From a checkpoint or exported weights back to a network that predicts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mtl_cuda.data import DatasetInfo
from mtl_cuda.engine.build import ScaledDeepLabV3, build_network, build_tasks
from mtl_cuda.engine.checkpoint import CheckpointError, load_checkpoint
from mtl_cuda.engine.config import TrainConfig, from_dict
from mtl_cuda.engine.ema import weights_to_use
from mtl_cuda.engine.segments import InstanceConfig, has_segments
from mtl_cuda.inference.weights import is_exported, load_weights


@dataclass(frozen=True)
class Restored:
    """A trained network and what it was trained on.

    Attributes:
        network: on `device`, in evaluation mode.
        config: of its training run.
        info: classes and units of its predictions.
        step: training steps it has had.
        device: that the network is on.
    """

    network: ScaledDeepLabV3
    config: TrainConfig
    info: DatasetInfo
    step: int
    device: torch.device

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks it predicts."""
        return tuple(self.config.loss.tasks)

    @property
    def instances(self) -> InstanceConfig | None:
        """How instances are found; None where the tasks make none."""
        return self.config.instances if has_segments(self.info, self.tasks) else None


def restore(
    path: str | os.PathLike[str],
    device: torch.device,
    instances: Mapping[str, Any] | None = None,
    root: str | None = None,
) -> Restored:
    """Load the network of a checkpoint, or of weights that `mtl-cuda export` wrote.

    Args:
        path: of the checkpoint, of exported weights (.safetensors), or of their folder.
        device: to put the network on.
        instances: fields of `InstanceConfig` that replace those of the training.
        root: folder of the data set, where it is not that of the training.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file cannot be used; names it.
    """
    state = load_weights(path) if is_exported(path) else load_checkpoint(path)
    try:
        config = from_dict(state["config"])
        info = DatasetInfo(**state["info"])
        network = build_network(config.model, build_tasks(config.loss, info), pretrained=False)
        network.load_state_dict(weights_to_use(state))
        step = int(state["step"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: the checkpoint does not fit this version: {reason}"
        ) from error
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, root=root or config.data.root),
        instances=dataclasses.replace(config.instances, **(instances or {})),
    )
    return Restored(network.to(device).eval(), config, info, step, device)
