"""Results in the formats of Cityscapes, for its evaluation scripts and its benchmark server.

Source: the scripts' documentation (https://github.com/mcordts/cityscapesScripts).
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from mtl_cuda.clustering.panoptic import PanopticSegments
from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.data import DatasetInfo, SceneSource
from mtl_cuda.data.io import write_bytes, write_png
from mtl_cuda.inference.options import PredictOptions
from mtl_cuda.inference.restore import Restored
from mtl_cuda.inference.scene import predict_scenes
from mtl_cuda.inference.timing import StageTimer
from mtl_cuda.metrics import SceneMetrics

_UNLABELLED = 0
_SCORE_DIGITS = 4  # as many as `InstanceAP` tells apart


class ResultWriter:
    """Writes a folder of results, image by image; it appears when everything is written.

    ::

        OUT/pixel/NAME_labelIds.png                           regular ids, 0 where there is no class
        OUT/instance/NAME.txt                                 lines "masks/FILE LABEL_ID SCORE"
        OUT/instance/masks/NAME_<instance>.png                255 on the instance, else 0
        OUT/panoptic/cityscapes_panoptic_SPLIT.json           segments of every image, by image id
        OUT/panoptic/cityscapes_panoptic_SPLIT/NAME_panoptic.png   R + 256 G + 256^2 B = segment id

    The three folders are what the three scripts call CITYSCAPES_RESULTS; each needs its own, since
    the scripts find results by the beginning of their names. Use as a context manager: what is left
    by an error or an interruption is removed.

    Args:
        out: folder to make; it may exist if it is empty.
        split: for the names of the panoptic results.
        info: of the classes; its `label_ids` are written.

    Raises:
        FileExistsError: `out` is a file, or holds something.
    """

    def __init__(self, out: str | os.PathLike[str], split: str, info: DatasetInfo) -> None:
        self.out = Path(out).resolve()
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise FileExistsError(f"{self.out} exists and is not empty; choose another folder")
        self._folder = self.out.with_name(f".{self.out.name}.{uuid.uuid4().hex}.tmp")
        self._panoptic_name = f"cityscapes_panoptic_{split}"
        # One table for classes 0..C-1, and -1 and 255 for no class.
        self._label_ids = np.full(256, _UNLABELLED, np.uint8)
        self._label_ids[: info.num_classes] = info.label_ids
        self._annotations: list[dict[str, Any]] = []

    def __enter__(self) -> ResultWriter:
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, name: str, prediction: Mapping[str, Any]) -> None:
        """Write the results of one image.

        Args:
            name: of the image, as in Cityscapes: CITY_SEQUENCE_FRAME.
            prediction: of a batch of one, as for `SceneMetrics.update`: any of "semantic",
                "instances" and "panoptic"; the rest is left alone.

        Raises:
            OSError: a file cannot be written.
        """
        if "semantic" in prediction:
            classes = prediction["semantic"][0].cpu().numpy()
            write_png(self._path(f"pixel/{name}_labelIds.png"), self._regular(classes))
        if "instances" in prediction:
            self._write_instances(name, prediction["instances"])
        if "panoptic" in prediction:
            self._write_panoptic(name, prediction["panoptic"])

    def _write_instances(self, name: str, instances: InstanceClusters) -> None:
        ids = instances.ids[0].cpu().numpy()
        labels = self._regular(instances.classes[0].cpu().numpy()).tolist()
        lines = []
        for number, (label, score) in enumerate(zip(labels, instances.scores[0].tolist()), 1):
            mask = f"masks/{name}_{number}.png"
            write_png(self._path(f"instance/{mask}"), np.where(ids == number, 255, 0).astype("u1"))
            lines.append(f"{mask} {label} {score:.{_SCORE_DIGITS}f}\n")
        write_bytes(self._path(f"instance/{name}.txt"), "".join(lines).encode())

    def _write_panoptic(self, name: str, segments: PanopticSegments) -> None:
        ids = segments.ids[0].cpu().numpy()
        colours = np.stack([ids >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
        file = f"{name}_panoptic.png"
        write_png(self._path(f"panoptic/{self._panoptic_name}/{file}"), colours)
        labels = self._regular(segments.classes[0].cpu().numpy()).tolist()
        self._annotations.append(
            {
                "image_id": name,
                "file_name": file,
                "segments_info": [
                    {"id": number, "category_id": label} for number, label in enumerate(labels, 1)
                ],
            }
        )

    def _finish(self) -> None:
        if self._annotations:
            content = json.dumps({"annotations": self._annotations}, indent=1)
            write_bytes(self._path(f"panoptic/{self._panoptic_name}.json"), content.encode())
        if self.out.is_dir():
            self.out.rmdir()
        self._folder.rename(self.out)

    def _regular(self, classes: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
        return self._label_ids[classes]

    def _path(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def evaluate_files(
    restored: Restored, source: SceneSource, writer: ResultWriter
) -> dict[str, float]:
    """Write the predictions for every scene, and measure them at the size of its files.

    The network sees a scene at the size that it was trained at.
    """
    instances = restored.instances
    info = source.info
    metrics = SceneMetrics(info, restored.tasks, segments=instances is not None)
    network, size, device = restored.network, restored.config.data.size, restored.device
    options, timer = PredictOptions(), StageTimer()
    for index in tqdm(range(len(source)), unit="scene", disable=None, leave=False):
        scene = source.scene(index)
        (prediction,) = predict_scenes(
            network, [scene.image], info, size or scene.size, device, instances, options, timer
        )
        parts = {
            "semantic": scene.semantic,
            "instance": scene.instance,
            "depth": scene.inverse_depth,
        }
        targets = {name: torch.from_numpy(part)[None].to(device) for name, part in parts.items()}
        metrics.update(prediction, targets)
        writer.write(scene.name, prediction)
    return metrics.compute()
