"""The best AP and PQ that clustering can reach: true classes and vectors in place of predictions.

    python benchmarks/instance_ceiling.py ROOT [--split val] [--export DIR]

ROOT is a Cityscapes tree, real or from `mtl-cuda synth`. What keeps the numbers from 100 % is told
by options: each row changes one more. With --export, the results of the first row are written for
the official scripts.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from mtl_cuda.data import CityscapesDataset, Scene
from mtl_cuda.data.scene import IGNORE
from mtl_cuda.engine.segments import InstanceConfig, find_segments
from mtl_cuda.inference.cityscapes_results import ResultWriter
from mtl_cuda.metrics import SceneMetrics, target_offsets

SHOWN = ("instances/ap", "instances/ap50", "panoptic/pq", "panoptic/pq_things", "panoptic/pq_stuff")


def main() -> None:
    """Measure, print a table, and write the results where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--export", type=Path)
    args = parser.parse_args()
    source = CityscapesDataset(args.root, args.split, depth=None)
    rows = {
        "default": InstanceConfig(),
        "+ stuff of any size": InstanceConfig(min_stuff_pixels=1),
        "+ min_samples 1": InstanceConfig(min_stuff_pixels=1, min_samples=1),
        "+ eps 0.5": InstanceConfig(min_stuff_pixels=1, min_samples=1, eps=0.5),
    }
    metrics = {name: SceneMetrics(source.info, [], segments=True) for name in rows}
    writer = ResultWriter(args.export, args.split, source.info) if args.export else None
    with writer or contextlib.nullcontext():
        for index in tqdm(range(len(source)), unit="scene", leave=False):
            scene = source.scene(index)
            maps, targets = as_predicted(scene, source.info.num_classes)
            for place, (name, options) in enumerate(rows.items()):
                found = find_segments(maps, source.info, options)
                metrics[name].update(found, targets)
                if writer is not None and place == 0:
                    writer.write(scene.name, {"semantic": maps["semantic"], **found})
    print(f"{len(source)} scenes of {args.root}/{args.split}, in %")
    print(f"{'':20}" + "".join(f"{key.split('/')[1]:>12}" for key in SHOWN))
    for name, measured in metrics.items():
        values = measured.compute()
        print(f"{name:20}" + "".join(f"{100 * values[key]:12.1f}" for key in SHOWN))


def as_predicted(scene: Scene, classes: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The true maps as predictions of a batch of one, and as targets."""
    semantic, ids = (torch.from_numpy(m)[None] for m in (scene.semantic, scene.instance))
    labels = torch.where(semantic == IGNORE, 0, semantic).long()  # some class, as a network gives
    maps = {
        "semantic": labels,
        "probabilities": F.one_hot(labels, classes).permute(0, 3, 1, 2).float(),
        "instance": target_offsets(
            ids
        ),  # NaN where there is no instance: votes of groups are noise
    }
    return maps, {"semantic": semantic, "instance": ids}


if __name__ == "__main__":
    main()
