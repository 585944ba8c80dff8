"""A trained network that takes pictures and gives scenes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch

from mtl_cuda.data import DatasetInfo, read_image
from mtl_cuda.engine.build import pick_device
from mtl_cuda.inference.options import PredictOptions, Size
from mtl_cuda.inference.restore import Restored, restore
from mtl_cuda.inference.result import SceneResult
from mtl_cuda.inference.scene import predict_scenes
from mtl_cuda.inference.timing import StageTimer

Picture = npt.NDArray[np.uint8]
Image = Picture | str | os.PathLike[str]
"""A picture, uint8 [H, W, 3] RGB, or the path of a PNG or JPEG file."""


def load_model(
    path: str | os.PathLike[str],
    device: str = "auto",
    *,
    instances: Mapping[str, Any] | None = None,
) -> SceneModel:
    """Load a trained network.

    Args:
        path: a checkpoint (.pt) of `mtl-cuda train`, or weights (.safetensors) of `mtl-cuda
            export`, or their folder.
        device: "auto" (CUDA where there is a GPU), "cpu", "cuda", "cuda:1", ...
        instances: how to find them, where not as in training: "eps", "min_samples", "min_pixels",
            "min_stuff_pixels"; see `mtl_cuda.engine.segments.InstanceConfig`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be used, or there is no such device here.
    """
    return SceneModel(restore(path, pick_device(device), instances))


class SceneModel:
    """A trained network: see `load_model`.

    Args:
        restored: the network and what it was trained on.
    """

    def __init__(self, restored: Restored) -> None:
        self._restored = restored

    @property
    def info(self) -> DatasetInfo:
        """Names and colours of the classes, units."""
        return self._restored.info

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it predicts: of "semantic", "instance" and "depth"."""
        return self._restored.tasks

    @property
    def finds_instances(self) -> bool:
        """Whether its tasks and its data set make instances."""
        return self._restored.instances is not None

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._restored.device

    @overload
    def predict(self, images: Image, **options: Any) -> SceneResult: ...

    @overload
    def predict(self, images: Sequence[Image], **options: Any) -> list[SceneResult]: ...

    def predict(
        self, images: Image | Sequence[Image], **options: Any
    ) -> SceneResult | list[SceneResult]:
        """Predict one image, or a list of them.

        Args:
            images: arrays uint8 [H, W, 3], RGB, or paths of PNG or JPEG files.
            options: fields of `PredictOptions`: `size`, `window`, `overlap`, `scales`, `flip`,
                `precision`, `batch`.

        Returns:
            for one image its result, for a list a list; arrays have the size of each image.

        Raises:
            FileNotFoundError: there is no such file.
            TypeError: an image or an option of another type.
            ValueError: a damaged file, an array of another shape, an option out of its range.
        """
        if isinstance(images, (str, os.PathLike, np.ndarray)):
            (result,) = self.predict([images], **options)
            return result
        named = (_named(image, f"image {index}") for index, image in enumerate(images))
        return list(self.stream(named, PredictOptions(**options)))

    def stream(
        self,
        images: Iterable[tuple[str, Picture]],
        options: PredictOptions | None = None,
        timer: StageTimer | None = None,
    ) -> Iterator[SceneResult]:
        """Predict images as they come; holds no more of them than the network sees at once.

        Args:
            images: name and picture of each, of any sizes.
            options: how they are looked at.
            timer: counts the stages.

        Yields:
            results in the order of the images.
        """
        options, timer = options or PredictOptions(), timer or StageTimer()
        waiting: list[tuple[str, Picture]] = []
        for name, image in images:
            _check_picture(image, name)
            if waiting and self._seen(image, options) != self._seen(waiting[0][1], options):
                yield from self._predict(waiting, options, timer)
                waiting = []
            waiting.append((name, image))
            if len(waiting) == options.batch:
                yield from self._predict(waiting, options, timer)
                waiting = []
        if waiting:
            yield from self._predict(waiting, options, timer)

    def _predict(
        self, batch: list[tuple[str, Picture]], options: PredictOptions, timer: StageTimer
    ) -> Iterator[SceneResult]:
        names, images = zip(*batch)
        predictions = predict_scenes(
            self._restored.network,
            images,
            self.info,
            self._seen(images[0], options),
            self.device,
            self._restored.instances,
            options,
            timer,
        )
        for name, image, prediction in zip(names, images, predictions):
            yield SceneResult.from_prediction(name, image, self.info, prediction)

    def _seen(self, image: Picture, options: PredictOptions) -> Size:
        """The size at which the network sees an image."""
        size = self._restored.config.data.size if options.size == "training" else options.size
        return (image.shape[0], image.shape[1]) if size is None or size == "image" else size


def _named(image: Image, name: str) -> tuple[str, Picture]:
    if isinstance(image, (str, os.PathLike)):
        return Path(image).stem, read_image(image)
    return name, image  # which is looked at where all are


def _check_picture(image: object, name: str) -> None:
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{name}: expected a numpy array or a path, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"{name}: expected uint8 [H, W, 3] in RGB, got {image.dtype} {list(image.shape)}"
        )
