"""One sample on the CPU: an image and the label maps that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IGNORE = 255
"""The trainId of pixels that belong to no class."""


@dataclass(frozen=True, eq=False)
class Scene:
    """An image with its semantic, instance and depth maps, all of one size.

    A part that a sample lacks is fully invalid (see :meth:`from_parts`), so that every scene has
    the same fields and no code asks whether one is there.

    Attributes:
        image: uint8 [H, W, 3], RGB.
        semantic: uint8 [H, W], trainIds; 255 is ignored.
        instance: int32 [H, W]; 0 is no instance, instances are numbered 1..K.
        inverse_depth: float32 [H, W]; NaN is invalid, 0 is valid and infinitely far. The unit
            (1/m, or disparity in pixels) is the data set's `DatasetInfo.depth_unit`.
        name: what messages and written files call the sample.

    Raises:
        TypeError: a map is no array, or of another dtype.
        ValueError: a map is of another shape than the image asks for, or the image is empty.
    """

    image: npt.NDArray[np.uint8]
    semantic: npt.NDArray[np.uint8]
    instance: npt.NDArray[np.int32]
    inverse_depth: npt.NDArray[np.float32]
    name: str

    def __post_init__(self) -> None:
        _check("image", self.image, np.uint8, None)
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.size == 0:
            raise ValueError(f"image must be [H, W, 3] and not empty, got {self.image.shape}")
        _check("semantic", self.semantic, np.uint8, self.size)
        _check("instance", self.instance, np.int32, self.size)
        _check("inverse_depth", self.inverse_depth, np.float32, self.size)

    @classmethod
    def from_parts(
        cls,
        image: npt.NDArray[np.uint8],
        name: str,
        *,
        semantic: npt.NDArray[np.uint8] | None = None,
        instance: npt.NDArray[np.int32] | None = None,
        inverse_depth: npt.NDArray[np.float32] | None = None,
    ) -> Scene:
        """Make a scene in which every part left out (None) is fully invalid."""
        size = image.shape[:2]
        if semantic is None:
            semantic = np.full(size, IGNORE, np.uint8)
        if instance is None:
            instance = np.zeros(size, np.int32)
        if inverse_depth is None:
            inverse_depth = np.full(size, np.nan, np.float32)
        return cls(image, semantic, instance, inverse_depth, name)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


def _check(field: str, array: object, dtype: type, size: tuple[int, int] | None) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = getattr(array, "dtype", type(array).__name__)
        raise TypeError(f"{field} must be a numpy array of {dtype.__name__}, got {found}")
    if size is not None and array.shape != size:
        raise ValueError(f"{field} must have the image's size {size}, got {array.shape}")
