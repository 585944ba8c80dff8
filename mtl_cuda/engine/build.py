"""From a configuration to its parts: scenes, tasks, criterion, network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mtl_cuda.data import CamVidDataset, CityscapesDataset, DatasetInfo, SceneSource
from mtl_cuda.data.prepared import check_size
from mtl_cuda.engine.config import DataConfig, LossConfig, ModelConfig, TrainConfig
from mtl_cuda.models import MultiTaskDeepLabV3
from mtl_cuda.models.batch_norm import freeze_batch_norm
from mtl_cuda.modules import MultiTaskLoss, MultiTaskLossOutput
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task, Task
from mtl_cuda.weighting import RevisedUncertainty, with_options
from mtl_cuda.weighting.revised_uncertainty import optimal_log_variance


def open_source(config: TrainConfig, split: str, *, resized: bool = True) -> SceneSource:
    """Open one split of the configured data set; with `resized` False at the size of its files.

    Raises:
        FileNotFoundError: there is no image where the layout asks for it.
        ValueError: the data set has no targets for one of the tasks, or was prepared at another
            size than the configured one.
    """
    data = config.data
    size = data.size if resized else None
    check_size(data.root, size)
    if data.name == "camvid":
        source: SceneSource = CamVidDataset(data.root, split, size=size)
    else:
        learns = split == data.train_split
        source = CityscapesDataset(
            data.root,
            split,
            depth=data.depth if "depth" in config.loss.tasks else None,
            disparity=data.disparity if learns else data.val_disparity or data.disparity,
            size=size,
        )
    _check_targets(data, config.loss, source.info)
    return source


def _check_targets(data: DataConfig, loss: LossConfig, info: DatasetInfo) -> None:
    has = {
        "semantic": info.num_classes > 0,
        "instance": len(info.thing_classes) > 0,
        "depth": info.depth_unit is not None,
    }
    lacking = [task for task in loss.tasks if not has[task]]
    if lacking:
        known = [task for task in has if has[task]]
        raise ValueError(
            f"loss.tasks: {data.name} has targets for {', '.join(known)}, none for "
            f"{', '.join(lacking)}"
        )


def build_tasks(config: LossConfig, info: DatasetInfo) -> dict[str, Task]:
    """Make the loss task of every configured task.

    Raises:
        ValueError: a likelihood or class weight that the task does not take.
    """
    semantic: dict[str, Any] = {
        "class_weights": config.class_weights,
        "label_smoothing": config.label_smoothing,
    }
    kinds: dict[str, tuple[type[Task], dict[str, Any]]] = {
        "semantic": (CrossEntropyTask, {"num_classes": info.num_classes, **semantic}),
        "instance": (InstanceOffsetTask, {}),
        "depth": (L1Task, {"channels": 1}),
    }
    tasks = {}
    for name in config.tasks:
        kind, arguments = kinds[name]
        if name in config.likelihoods:
            arguments["likelihood"] = config.likelihoods[name]
        tasks[name] = kind(**arguments)
    return tasks


def build_criterion(config: LossConfig, info: DatasetInfo) -> MultiTaskLoss:
    """Make the weighed loss; "first_batch" starts at 0 until `start_log_variances` is called."""
    initial, weighting = config.initial_log_variance, config.weighting
    if isinstance(initial, Mapping):  # may name tasks that are not trained, as likelihoods do
        initial = {task: initial[task] for task in config.tasks if task in initial}
    return MultiTaskLoss(
        build_tasks(config, info),
        with_options(weighting, config.weighting_options)
        if isinstance(weighting, str)
        else weighting,
        initial_log_variance=0.0 if initial == "first_batch" else initial,
        sync_normalizer=True,
    )


@torch.no_grad()
def start_log_variances(criterion: MultiTaskLoss, output: MultiTaskLossOutput) -> None:
    """Set every log-variance to its optimum for the losses of one batch.

    With raw loss L: log 2L (softmax), log L (gaussian), 2 log L (laplace); see `mtl_cuda.tasks`;
    under revised uncertainty as there. A task without a valid pixel, or whose optimum has no closed
    form, keeps its value.
    """
    if criterion.log_variances is None:
        return
    for index, (name, task) in enumerate(criterion.tasks.items()):
        loss = output.losses[name].item()
        if not 0.0 < loss < math.inf:
            continue
        if isinstance(criterion.scheme, RevisedUncertainty):
            criterion.log_variances[index] = optimal_log_variance(loss)
            continue
        optimum = {
            "softmax": math.log(2 * loss),
            "gaussian": math.log(loss),
            "laplace": 2 * math.log(loss),
        }
        criterion.log_variances[index] = optimum.get(
            task.likelihood, criterion.log_variances[index].item()
        )


class ScaledDeepLabV3(MultiTaskDeepLabV3):
    """The network with each task's prediction multiplied by a fixed factor.

    The names of the parameters stay those of `MultiTaskDeepLabV3`, and the factors are part of the
    configuration, not of the weights. Batch normalisation may be frozen, in the backbone or
    everywhere, and then stays so in training.
    """

    def __init__(
        self, output_scale: Mapping[str, float], batch_norm: str = "train", **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.output_scale = dict(output_scale)
        self.batch_norm = batch_norm
        self.train()

    def train(self, mode: bool = True) -> ScaledDeepLabV3:
        """Set the mode of all but frozen layers."""
        super().train(mode)
        if self.batch_norm == "frozen":
            freeze_batch_norm(self)
        elif self.batch_norm == "frozen_backbone":
            freeze_batch_norm(self.backbone)
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """[B, 3, H, W] -> predictions at low resolution, in the units of the targets."""
        predictions = super().forward(images)
        return {
            task: prediction * self.output_scale[task] if task in self.output_scale else prediction
            for task, prediction in predictions.items()
        }


def build_network(
    config: ModelConfig, tasks: Mapping[str, Task], *, pretrained: bool = True
) -> ScaledDeepLabV3:
    """Make the network with one head per task.

    Args:
        config: of the network.
        tasks: by name, for the channels of the heads.
        pretrained: load the configured backbone; False where other weights follow anyway.
    """
    return ScaledDeepLabV3(
        output_scale=config.output_scale,
        batch_norm=config.batch_norm,
        backbone=config.backbone,
        output_stride=config.output_stride,
        heads={name: task.channels for name, task in tasks.items()},
        pretrained_backbone=config.pretrained_backbone if pretrained else None,
        aspp_channels=config.aspp_channels,
        decoder_channels=config.decoder_channels,
        width=config.width,
        dropout=config.dropout,
        checkpointing=config.checkpointing,
    )


def pick_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1", ... into a device that is there.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used here: {reason}") from error
    return device
