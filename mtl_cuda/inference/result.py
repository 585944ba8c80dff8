"""What a network sees in one image, as numpy arrays of the size of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.clustering.panoptic import PanopticSegments
from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.data import DatasetInfo
from mtl_cuda.visualise import overlay, panel

_NO_CLASS = 255


@dataclass(frozen=True)
class Instance:
    """One object.

    Attributes:
        id: its number in the map of ids.
        class_id: trainId of its class; `class_name` its name, `label_id` the id that files carry.
        score: confidence in [0, 1], for ranking.
        pixels: with its id.
        centre: (x, y) in pixels of the image, where its pixels' votes meet.
    """

    id: int
    class_id: int
    class_name: str
    label_id: int
    score: float
    pixels: int
    centre: tuple[float, float]


@dataclass(frozen=True, eq=False)
class SceneInstances:
    """The objects of an image.

    Attributes:
        ids: int32 [H, W]; 0 is none, row k - 1 of the table describes instance k.
        table: one row per object.
    """

    ids: npt.NDArray[np.int32]
    table: tuple[Instance, ...]


@dataclass(frozen=True, eq=False)
class ScenePanoptic:
    """Every pixel in one segment: an object, or a region of stuff.

    Attributes:
        ids: int32 [H, W]; 0 is void, else segments 1..S.
        classes: entry s - 1 is the trainId of segment s.
    """

    ids: npt.NDArray[np.int32]
    classes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SceneResult:
    """What a network sees in one image; a part that it does not predict is None.

    Attributes:
        name: of the image.
        image: uint8 [H, W, 3], RGB.
        info: classes, colours and units.
        classes: uint8 [H, W], trainIds; 255 where the network gave no number.
        probability: float32 [H, W], of each pixel's class.
        offsets: float32 [2, H, W], (x, y) from each pixel to the centre of its object, in pixels.
        inverse_depth: float32 [H, W], in `depth_unit`.
        instances: the objects.
        panoptic: objects and stuff in one map.
    """

    name: str
    image: npt.NDArray[np.uint8]
    info: DatasetInfo
    classes: npt.NDArray[np.uint8] | None = None
    probability: npt.NDArray[np.float32] | None = None
    offsets: npt.NDArray[np.float32] | None = None
    inverse_depth: npt.NDArray[np.float32] | None = None
    instances: SceneInstances | None = None
    panoptic: ScenePanoptic | None = None

    @classmethod
    def from_prediction(
        cls,
        name: str,
        image: npt.NDArray[np.uint8],
        info: DatasetInfo,
        prediction: Mapping[str, Any],
    ) -> SceneResult:
        """Take what `predict_scenes` gave for the image."""
        arrays = {
            task: prediction[task][0].cpu().numpy()
            for task in ("semantic", "probability", "instance", "depth")
            if task in prediction
        }
        classes = arrays.get("semantic")
        depth = arrays.get("depth")
        return cls(
            name,
            image,
            info,
            classes=None if classes is None else _as_bytes(classes),
            probability=arrays.get("probability"),
            offsets=arrays.get("instance"),
            inverse_depth=None if depth is None else depth[0],
            instances=_instances(prediction.get("instances"), info),
            panoptic=_panoptic(prediction.get("panoptic")),
        )

    @property
    def depth_unit(self) -> str | None:
        """Of `inverse_depth`: "1/m", or "px" (disparity in an image of this size)."""
        return None if self.inverse_depth is None else self.info.depth_unit

    @property
    def maps(self) -> dict[str, npt.NDArray[Any]]:
        """The maps that `mtl_cuda.visualise` draws, by its names for them."""
        found = {
            "semantic": self.classes,
            "instance": self.offsets,
            "depth": self.inverse_depth,
            "clusters": None if self.instances is None else self.instances.ids,
        }
        return {name: array for name, array in found.items() if array is not None}

    def panel(self, *, cell_width: int = 512) -> npt.NDArray[np.uint8]:
        """All parts beside the image in one picture, RGB: see `mtl_cuda.visualise.panel`."""
        return panel(self.image, self.maps, self.info, cell_width=cell_width)

    def overlay(self) -> npt.NDArray[np.uint8]:
        """What is seen, drawn on the image, RGB of its size: see `mtl_cuda.visualise.overlay`."""
        return overlay(self.image, self.maps, self.info)


def _as_bytes(classes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    return np.where(classes < 0, _NO_CLASS, classes).astype(np.uint8)


def _instances(found: InstanceClusters | None, info: DatasetInfo) -> SceneInstances | None:
    if found is None:
        return None
    tables = (found.classes, found.scores, found.counts, found.centroids)
    rows = enumerate(zip(*(table[0].tolist() for table in tables)), start=1)
    return SceneInstances(
        found.ids[0].cpu().numpy(),
        tuple(
            Instance(
                number, kind, info.class_names[kind], info.label_ids[kind], score, pixels, (x, y)
            )
            for number, (kind, score, pixels, (x, y)) in rows
        ),
    )


def _panoptic(found: PanopticSegments | None) -> ScenePanoptic | None:
    if found is None:
        return None
    return ScenePanoptic(found.ids[0].cpu().numpy(), tuple(found.classes[0].tolist()))
