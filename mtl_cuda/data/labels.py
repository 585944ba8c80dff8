"""The classes of Cityscapes (https://github.com/mcordts/cityscapesScripts, labels.py)."""

from __future__ import annotations

from typing import NamedTuple

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.scene import IGNORE


class Label(NamedTuple):
    """One class: its id in files, its trainId (255 = not evaluated) and its colour (RGB)."""

    name: str
    id: int
    train_id: int
    has_instances: bool
    color: tuple[int, int, int]


LABELS = (
    Label("unlabeled", 0, IGNORE, False, (0, 0, 0)),
    Label("ego vehicle", 1, IGNORE, False, (0, 0, 0)),
    Label("rectification border", 2, IGNORE, False, (0, 0, 0)),
    Label("out of roi", 3, IGNORE, False, (0, 0, 0)),
    Label("static", 4, IGNORE, False, (0, 0, 0)),
    Label("dynamic", 5, IGNORE, False, (111, 74, 0)),
    Label("ground", 6, IGNORE, False, (81, 0, 81)),
    Label("road", 7, 0, False, (128, 64, 128)),
    Label("sidewalk", 8, 1, False, (244, 35, 232)),
    Label("parking", 9, IGNORE, False, (250, 170, 160)),
    Label("rail track", 10, IGNORE, False, (230, 150, 140)),
    Label("building", 11, 2, False, (70, 70, 70)),
    Label("wall", 12, 3, False, (102, 102, 156)),
    Label("fence", 13, 4, False, (190, 153, 153)),
    Label("guard rail", 14, IGNORE, False, (180, 165, 180)),
    Label("bridge", 15, IGNORE, False, (150, 100, 100)),
    Label("tunnel", 16, IGNORE, False, (150, 120, 90)),
    Label("pole", 17, 5, False, (153, 153, 153)),
    Label("polegroup", 18, IGNORE, False, (153, 153, 153)),
    Label("traffic light", 19, 6, False, (250, 170, 30)),
    Label("traffic sign", 20, 7, False, (220, 220, 0)),
    Label("vegetation", 21, 8, False, (107, 142, 35)),
    Label("terrain", 22, 9, False, (152, 251, 152)),
    Label("sky", 23, 10, False, (70, 130, 180)),
    Label("person", 24, 11, True, (220, 20, 60)),
    Label("rider", 25, 12, True, (255, 0, 0)),
    Label("car", 26, 13, True, (0, 0, 142)),
    Label("truck", 27, 14, True, (0, 0, 70)),
    Label("bus", 28, 15, True, (0, 60, 100)),
    Label("caravan", 29, IGNORE, True, (0, 0, 90)),
    Label("trailer", 30, IGNORE, True, (0, 0, 110)),
    Label("train", 31, 16, True, (0, 80, 100)),
    Label("motorcycle", 32, 17, True, (0, 0, 230)),
    Label("bicycle", 33, 18, True, (119, 11, 32)),
)
"""Every class that files hold, by id. ("License plate", id -1, is never drawn.)"""

TRAIN_ID_TO_LABEL = tuple(label for label in LABELS if label.train_id != IGNORE)
"""The evaluated classes; entry i has trainId i."""

CITYSCAPES_INFO = DatasetInfo(
    name="cityscapes",
    class_names=tuple(label.name for label in TRAIN_ID_TO_LABEL),
    palette=tuple(label.color for label in TRAIN_ID_TO_LABEL),
    thing_classes=tuple(label.train_id for label in TRAIN_ID_TO_LABEL if label.has_instances),
    label_ids=tuple(label.id for label in TRAIN_ID_TO_LABEL),
    depth_unit="1/m",
    image_size=(1024, 2048),
)
"""Cityscapes with metric inverse depth, at its own size."""
