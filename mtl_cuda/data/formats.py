"""The number formats of Cityscapes files: disparity, camera and instance ids.

Source: the data set's README and scripts (https://github.com/mcordts/cityscapesScripts).
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import write_bytes
from mtl_cuda.data.labels import LABELS, TRAIN_ID_TO_LABEL
from mtl_cuda.data.scene import IGNORE

_DISPARITY_STEPS = 256  # per pixel
_INSTANCES_PER_CLASS = 1000
MAX_DISPARITY = (np.iinfo(np.uint16).max - 1) / _DISPARITY_STEPS
"""The largest disparity in pixels that a file can hold."""


def encode_disparity(disparity: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Turn disparities in pixels into file values: p = round(256 d) + 1, and 0 for NaN.

    Args:
        disparity: float [H, W], NaN = invalid, 0 = infinitely far.

    Raises:
        ValueError: a disparity, rounded, is negative, infinite or larger than `MAX_DISPARITY`: it
            would come back as another one.
    """
    valid = ~np.isnan(disparity)
    steps = np.rint(np.where(valid, disparity, 0) * _DISPARITY_STEPS)
    bad = (steps < 0) | (steps > np.iinfo(np.uint16).max - 1)
    if bad.any():
        place = np.unravel_index(int(bad.argmax()), bad.shape)
        raise ValueError(
            f"disparity must be NaN or in 0..{MAX_DISPARITY} px to be written, "
            f"got {disparity[place]} at {tuple(map(int, place))}"
        )
    return np.where(valid, steps + 1, 0).astype(np.uint16)


def decode_disparity(stored: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Turn file values into disparities in pixels: d = (p - 1) / 256, and NaN for p = 0.

    p = 1 is a valid disparity of 0: infinitely far.

    Raises:
        TypeError: `stored` is not uint16.
    """
    if stored.dtype != np.uint16:
        raise TypeError(f"stored disparities must be uint16, got {stored.dtype}")
    disparity = (stored.astype(np.float32) - 1) / np.float32(_DISPARITY_STEPS)
    disparity[stored == 0] = np.nan
    return disparity


@dataclass(frozen=True)
class Camera:
    """A rectified stereo camera, with the names of Cityscapes' camera files.

    Attributes:
        fx: focal length along the rows, in pixels; `fy` along the columns.
        u0: column of the principal point; `v0` its row.
        baseline: distance of the two cameras in metres.
        x: position of the camera on the vehicle in metres; likewise `y` and `z`.
        roll: orientation of the camera in radians; likewise `pitch` and `yaw`.

    Raises:
        ValueError: a number is not finite, or a focal length or the baseline not positive.
    """

    fx: float
    fy: float
    u0: float
    v0: float
    baseline: float
    pitch: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise ValueError(f"camera: {field.name} must be finite, got {value}")
        for name in ("fx", "fy", "baseline"):
            if getattr(self, name) <= 0:
                raise ValueError(f"camera: {name} must be positive, got {getattr(self, name)}")


_INTRINSIC = ("fx", "fy", "u0", "v0")
_EXTRINSIC = ("baseline", "pitch", "roll", "x", "y", "yaw", "z")


def read_camera(path: str | os.PathLike[str]) -> Camera:
    """Read a Cityscapes camera file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no JSON, or a number is missing or impossible; names the file.
    """
    text = Path(path).read_bytes()
    try:
        content = json.loads(text)
        values = {name: float(content["intrinsic"][name]) for name in _INTRINSIC}
        values |= {name: float(content["extrinsic"][name]) for name in _EXTRINSIC}
        return Camera(**values)
    except KeyError as error:
        raise ValueError(f"{path}: the camera file lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a Cityscapes camera file: {error}") from error


def write_camera(path: str | os.PathLike[str], camera: Camera) -> None:
    """Write a Cityscapes camera file.

    Raises:
        OSError: the file cannot be written.
    """
    content: dict[str, Any] = {
        "extrinsic": {name: getattr(camera, name) for name in _EXTRINSIC},
        "intrinsic": {name: getattr(camera, name) for name in _INTRINSIC},
    }
    write_bytes(path, json.dumps(content, indent=4).encode())


def inverse_depth_from_disparity(
    disparity: npt.NDArray[np.float32], camera: Camera
) -> npt.NDArray[np.float32]:
    """Inverse depth 1/Z = d / (fx B) in 1/m from disparity in pixels; NaN stays NaN.

    `camera` must be that of the image the disparities were measured in: after a resize by s, both
    d and fx are s times as large.
    """
    return disparity / np.float32(camera.fx * camera.baseline)


def split_instance_ids(
    ids: npt.NDArray[np.uint16] | npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Split the values of an instanceIds file into trainIds and instances.

    A value below 1000 is the label id of stuff, or of a *group* of things that could not be told
    apart: it keeps its class and is no instance. Otherwise the value is label id * 1000 + n.
    Classes that are not evaluated become 255, without instances.

    Args:
        ids: uint16 or uint8 [H, W]; a labelIds file is the case without instances.

    Returns:
        semantic uint8 [H, W] and instance int32 [H, W], numbered 1..K by increasing value.

    Raises:
        TypeError: `ids` is neither uint8 nor uint16.
        ValueError: a value stands for no class, or for an instance of a class without instances.
    """
    if ids.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"ids must be uint8 or uint16, got {ids.dtype}")
    length = np.iinfo(ids.dtype).max + 1
    # Tables over all values cost less than sorting the pixels.
    semantic = np.full(length, IGNORE, np.uint8)
    instance = np.zeros(length, np.int32)
    count = 0
    for value in np.flatnonzero(np.bincount(ids.ravel(), minlength=length)).tolist():
        is_instance = value >= _INSTANCES_PER_CLASS
        label = _BY_ID.get(value // _INSTANCES_PER_CLASS if is_instance else value)
        if label is None or (is_instance and not label.has_instances):
            raise ValueError(f"value {value} is no Cityscapes label id or instance id")
        semantic[value] = label.train_id
        if is_instance and label.train_id != IGNORE:
            count += 1
            instance[value] = count
    return semantic[ids], instance[ids]


def join_instance_ids(
    semantic: npt.NDArray[np.uint8], instance: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint16]:
    """Make the values of an instanceIds file from trainIds and instances.

    The opposite of :func:`split_instance_ids`: an instance becomes label id * 1000 + n, n counting
    0, 1, ... within its class by increasing instance id; other pixels keep their label id.

    Args:
        semantic: uint8 [H, W], trainIds; 255 becomes 0 (unlabeled).
        instance: int32 [H, W], 0 = none.

    Raises:
        ValueError: shapes differ, a trainId is unknown, or an instance has pixels of several
            classes, of a class without instances, or more than 1000 per class.
    """
    if semantic.shape != instance.shape:
        raise ValueError(f"semantic is {semantic.shape}, instance is {instance.shape}")
    label_ids = label_ids_from_train_ids(semantic)
    joined = label_ids.astype(np.uint16)
    mask = instance != 0
    pairs = np.unique(np.stack([instance[mask], label_ids[mask]]), axis=1)
    numbers, values, counts = pairs[0], np.empty(pairs.shape[1], np.uint16), [0] * 256
    for index, (number, label_id) in enumerate(pairs.T.tolist()):
        label = _BY_ID[label_id]
        if not label.has_instances or counts[label_id] == _INSTANCES_PER_CLASS:
            raise ValueError(f"instance {number}: class {label.name} cannot hold it")
        if index and numbers[index - 1] == number:
            raise ValueError(f"instance {number} has pixels of several classes")
        values[index] = label_id * _INSTANCES_PER_CLASS + counts[label_id]
        counts[label_id] += 1
    joined[mask] = values[np.searchsorted(numbers, instance[mask])]
    return joined


def label_ids_from_train_ids(semantic: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn trainIds into the regular label ids that files carry; 255 becomes 0 (unlabeled).

    Raises:
        ValueError: a trainId is neither 0..18 nor 255.
    """
    unknown = (semantic >= len(TRAIN_ID_TO_LABEL)) & (semantic != IGNORE)
    if unknown.any():
        raise ValueError(f"{int(semantic[unknown][0])} is no Cityscapes trainId (0..18, 255)")
    table = np.zeros(IGNORE + 1, np.uint8)
    table[: len(TRAIN_ID_TO_LABEL)] = [label.id for label in TRAIN_ID_TO_LABEL]
    return table[semantic]


_BY_ID = {label.id: label for label in LABELS}
