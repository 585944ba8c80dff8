"""Changing a scene's image and label maps together, so that labels and units stay true.

Functions with no state and no chance in them, and two transforms that compose them. Label maps are
resampled by nearest neighbour: trainIds and instance ids have no average, and an averaged inverse
depth would invent surfaces between an object and what lies behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.info import check_depth_unit
from mtl_cuda.data.io import require_cv2
from mtl_cuda.data.normalise import IMAGE_MEAN
from mtl_cuda.data.scene import IGNORE, Scene

Size = tuple[int, int]
"""Height and width in pixels."""

Transform = Callable[[Scene, np.random.Generator], Scene]
"""What `SceneSamples` applies: every random number comes from the generator."""

PADDING_COLOUR = tuple(round(255 * mean) for mean in IMAGE_MEAN)
"""Colour of pixels outside the image: the one that normalisation takes to zero."""

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def horizontal_flip(scene: Scene) -> Scene:
    """Mirror left and right. Disparity and inverse depth keep their values."""
    cv2 = require_cv2()
    return _map_arrays(scene, lambda array, _: cv2.flip(array, 1))


def resize_image(image: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Resample [H, W, 3]: averages over areas where it shrinks, bilinear where it grows."""
    cv2 = require_cv2()
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=method)


def resize_map(array: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Resample [H, W] of any dtype by nearest neighbour (pixel centres at half-integers)."""
    cv2 = require_cv2()
    return cv2.resize(array, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def resize(scene: Scene, size: Size, *, depth_unit: str | None) -> Scene:
    """Resample to `size` (height, width).

    The image is averaged over areas where it shrinks and interpolated bilinearly where it grows;
    label maps take the nearest pixel (pixel centres at half-integers, like the image). Instances
    that no pixel shows any more are dropped and the rest renumbered. A disparity (`depth_unit`
    "px") is multiplied by the ratio of the widths; an inverse depth in 1/m stays.

    Raises:
        ValueError: `size` is not positive or `depth_unit` unknown.
    """
    _check_size("size", size)
    check_depth_unit(depth_unit)
    if size == scene.size:
        return scene
    resized = _map_arrays(
        scene,
        lambda array, _: resize_image(array, size) if array.ndim == 3 else resize_map(array, size),
    )
    if depth_unit == "px":
        ratio = np.float32(size[1] / scene.size[1])
        resized = replace(resized, inverse_depth=resized.inverse_depth * ratio)
    return replace(resized, instance=_renumber(resized.instance))


def crop(scene: Scene, top: int, left: int, size: Size) -> Scene:
    """Cut out the window of `size` (height, width) whose first pixel is (top, left).

    Where the window reaches beyond the scene, the image gets `PADDING_COLOUR` and the labels are
    invalid. Instances are renumbered 1..K over those that the window shows; an instance that the
    window cuts goes on with what is left of it.

    Raises:
        ValueError: `size` is not positive, or the window misses the scene.
    """
    _check_size("size", size)
    bottom, right = top + size[0], left + size[1]
    if not (bottom > 0 and right > 0 and top < scene.size[0] and left < scene.size[1]):
        raise ValueError(f"window at ({top}, {left}) of {size} misses the scene of {scene.size}")
    inside = np.s_[max(top, 0) : bottom, max(left, 0) : right]
    above, below = max(-top, 0), max(bottom - scene.size[0], 0)
    before, after = max(-left, 0), max(right - scene.size[1], 0)
    cv2 = require_cv2()

    def cut(array: npt.NDArray[Any], padding: Any) -> npt.NDArray[Any]:
        part = array[inside]
        if part.shape[:2] == size:
            return part
        return cv2.copyMakeBorder(
            part, above, below, before, after, cv2.BORDER_CONSTANT, value=padding
        )

    cropped = _map_arrays(scene, cut)
    return replace(cropped, instance=_renumber(cropped.instance))


def colour_jitter(
    scene: Scene, *, brightness: float = 1.0, contrast: float = 1.0, saturation: float = 1.0
) -> Scene:
    """Change the image's colours; 1 leaves each of the three as it is, labels always stay.

    Saturation moves each pixel away from its grey, brightness multiplies, contrast moves away from
    the image's mean grey. The three together are one affine map of the colour, rounded once.

    Raises:
        ValueError: a factor is negative or not finite.
    """
    factors = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    for name, factor in factors.items():
        if not 0 <= factor < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {factor}")
    cv2 = require_cv2()
    mean_grey = float(_LUMA @ cv2.mean(scene.image)[:3])
    saturate = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    shift = np.full((3, 1), (1 - contrast) * brightness * mean_grey)
    affine = np.hstack([contrast * brightness * saturate, shift])
    return replace(scene, image=cv2.transform(scene.image, affine))


@dataclass(frozen=True)
class TrainTransform:
    """Random colours, scale, crop and flip for training.

    The window is cut before it is resized, at the size that becomes `crop_size`: the cost does not
    grow with the image, nor with the scale. Scales are drawn evenly in the logarithm, so that
    halving is as likely as doubling. A scene smaller than the window is placed at random within it.

    Attributes:
        crop_size: (height, width) of every result.
        depth_unit: the data set's, see `DatasetInfo`.
        scale_range: smallest and largest factor.
        flip_probability: of mirroring left and right.
        jitter: brightness, contrast and saturation are drawn from 1 - jitter to 1 + jitter.

    Raises:
        ValueError: a parameter is out of its range.
    """

    crop_size: Size
    depth_unit: str | None
    scale_range: tuple[float, float] = (0.5, 2.0)
    flip_probability: float = 0.5
    jitter: float = 0.2

    def __post_init__(self) -> None:
        _check_size("crop_size", self.crop_size)
        check_depth_unit(self.depth_unit)
        low, high = self.scale_range
        if not 0 < low <= high < math.inf:
            raise ValueError(f"scale_range must be 0 < low <= high, got {self.scale_range}")
        if not 0 <= self.flip_probability <= 1:
            raise ValueError(f"flip_probability must be in 0..1, got {self.flip_probability}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be in 0..1, got {self.jitter}")

    def __call__(self, scene: Scene, generator: np.random.Generator) -> Scene:
        """Transform `scene` with random numbers from `generator`."""
        brightness, contrast, saturation = generator.uniform(1 - self.jitter, 1 + self.jitter, 3)
        low, high = self.scale_range
        scale = math.exp(generator.uniform(math.log(low), math.log(high)))
        window = tuple(max(1, round(length / scale)) for length in self.crop_size)
        spare = [have - want for have, want in zip(scene.size, window)]
        top, left = (int(generator.integers(min(n, 0), max(n, 0), endpoint=True)) for n in spare)
        flips = generator.random() < self.flip_probability

        scene = colour_jitter(
            scene, brightness=brightness, contrast=contrast, saturation=saturation
        )
        scene = crop(scene, top, left, (window[0], window[1]))
        scene = resize(scene, self.crop_size, depth_unit=self.depth_unit)
        return horizontal_flip(scene) if flips else scene


@dataclass(frozen=True)
class EvalTransform:
    """Nothing but a resize to `size` (height, width), or nothing at all for None.

    Raises:
        ValueError: a parameter is out of its range.
    """

    size: Size | None = None
    depth_unit: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            _check_size("size", self.size)
        check_depth_unit(self.depth_unit)

    def __call__(self, scene: Scene, generator: np.random.Generator | None = None) -> Scene:
        """Resize `scene`; `generator` is taken for the sake of `Transform` and left unused."""
        return scene if self.size is None else resize(scene, self.size, depth_unit=self.depth_unit)


def _map_arrays(
    scene: Scene, function: Callable[[npt.NDArray[Any], Any], npt.NDArray[Any]]
) -> Scene:
    """Apply `function`(array, value of invalid pixels) to the image and each map."""
    return Scene(
        function(scene.image, PADDING_COLOUR),
        function(scene.semantic, IGNORE),
        function(scene.instance, 0),
        function(scene.inverse_depth, np.nan),
        scene.name,
    )


def _renumber(instance: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Close the gaps in the instance ids, keeping their order."""
    present = np.bincount(instance.ravel()) > 0
    present[0] = True
    return instance if present.all() else (np.cumsum(present, dtype=np.int32) - 1)[instance]


def _check_size(argument: str, size: Size) -> None:
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"{argument} must be a positive (height, width), got {size}")
