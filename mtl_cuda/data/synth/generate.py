"""One generated scene: a stereo pair with exact labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.formats import Camera, inverse_depth_from_disparity
from mtl_cuda.data.scene import Scene
from mtl_cuda.data.synth.config import SynthConfig
from mtl_cuda.data.synth.geometry import Face, Viewpoint
from mtl_cuda.data.synth.ground import Ground
from mtl_cuda.data.synth.light import Light
from mtl_cuda.data.synth.raster import Picture, render
from mtl_cuda.data.synth.sides import build_sides
from mtl_cuda.data.synth.stage import Stage
from mtl_cuda.data.synth.street import Street
from mtl_cuda.data.synth.traffic import populate

_SMALLEST = (32, 64)  # (height, width): below this objects are a few pixels


@dataclass(frozen=True, eq=False)
class SynthScene:
    """A generated stereo pair and the truth about its left view.

    Attributes:
        left: uint8 [H, W, 3], RGB.
        right: uint8 [H, W, 3], RGB.
        semantic: uint8 [H, W], Cityscapes trainIds; 255 = no evaluated class.
        instance: int32 [H, W], 0 = none, 1..K.
        disparity: float32 [H, W] in pixels, exact: column in the left view minus column in the
            right one; 0 = sky. Every pixel is valid.
        camera: of the left view.
        pictures: the left and right view before the camera's noise, with depth and surface numbers.
    """

    left: npt.NDArray[np.uint8]
    right: npt.NDArray[np.uint8]
    semantic: npt.NDArray[np.uint8]
    instance: npt.NDArray[np.int32]
    disparity: npt.NDArray[np.float32]
    camera: Camera
    pictures: tuple[Picture, Picture]

    def scene(self, name: str) -> Scene:
        """The left view as a sample with metric inverse depth (1/m)."""
        inverse_depth = inverse_depth_from_disparity(self.disparity, self.camera)
        return Scene(self.left, self.semantic, self.instance, inverse_depth, name)


def generate_scene(
    size: tuple[int, int], seed: int | Sequence[int], config: SynthConfig | None = None
) -> SynthScene:
    """Generate a street scene.

    Args:
        size: (height, width) in pixels, at least 32 x 64.
        seed: non-negative; the same size, seed and config give the same scene.
        config: the generator's knobs; None = their defaults.

    Raises:
        ImportError: OpenCV is missing.
        ValueError: `size` is too small, or the seed negative.
    """
    if any(length < least for length, least in zip(size, _SMALLEST)):
        raise ValueError(f"size must be at least {_SMALLEST} (height, width), got {size}")
    config = config or SynthConfig()
    rng = np.random.default_rng(seed)
    street, light = Street.sample(rng, config), Light.sample(rng, config)
    view = _sample_view(rng, size, street, config)
    stage = Stage(rng, config, view, street, light)
    build_sides(stage)
    populate(stage)
    ground = Ground(rng, config, street, light)
    sky = light.paint_sky(rng, view.doubled())
    views = [view, view.shifted(config.baseline)]
    left, right = render(stage.faces, ground, stage.shadows.finish(), sky, light, views)
    semantic, instance = _labels(left, ground.labels, stage.faces, config.min_instance_pixels)
    return SynthScene(
        left=light.expose(rng, left.colours),
        right=light.expose(rng, right.colours),
        semantic=semantic,
        instance=instance,
        disparity=left.inverse_depth * np.float32(view.focal * config.baseline),
        camera=Camera(
            fx=view.focal, fy=view.focal, u0=view.centre[0], v0=view.centre[1],
            baseline=config.baseline, z=float(view.position[1]),
        ),
        pictures=(left, right),
    )  # fmt: skip


def _sample_view(
    rng: np.random.Generator, size: tuple[int, int], street: Street, config: SynthConfig
) -> Viewpoint:
    """The left camera, on a vehicle in one of our lanes."""
    height, width = size
    lane = int(rng.integers(street.lanes[1]))
    x = (lane + 0.5) * street.lane + rng.normal(0, 0.25) - config.baseline / 2
    return Viewpoint(
        position=np.array([x, rng.uniform(*config.camera_height), 0.0]),
        yaw=math.radians(rng.uniform(-config.yaw, config.yaw)),
        focal=rng.uniform(*config.focal) * width,
        centre=((width - 1) / 2, rng.uniform(*config.horizon) * height),
        size=size,
    )


def _labels(
    picture: Picture, ground: Sequence[int], faces: Sequence[Face], min_pixels: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Semantic and instance maps; instances are numbered 1..K without gaps."""
    semantic = np.array([*ground, *(face.label for face in faces)], np.uint8)[picture.surface]
    numbers = np.array([0] * len(ground) + [face.instance for face in faces])
    instance = numbers[picture.surface]
    counts = np.bincount(instance.ravel(), minlength=int(numbers.max()) + 1)
    kept = counts >= max(min_pixels, 1)
    kept[0] = False
    return semantic, np.where(kept, np.cumsum(kept), 0).astype(np.int32)[instance]
