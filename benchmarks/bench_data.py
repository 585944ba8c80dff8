"""What the loader gives: images per second, and how long a training step waits for them.

    python benchmarks/bench_data.py [--full 1024x2048] [--sizes 128x256 512x1024] [--camvid ROOT]

Generated scenes of full size are read and resized on the fly, and read from what
`mtl-cuda prepare` makes of them at each of the sizes: decoding, random scale, crop, flip and
colours, all three tasks, collated into batches, with 0, 1 and 2 worker processes. Every run reads
the same samples in the same order; files come from the page cache. Then the network of the demo
learns from them, and the share of its steps that it waits is measured. Trees are made in a
temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import common
import torch

from mtl_cuda.commands.demo import demo_config
from mtl_cuda.data.prepare import prepare_dataset
from mtl_cuda.data.synth import write_dataset
from mtl_cuda.engine.build import build_criterion, build_network, open_source
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.learner import Learner
from mtl_cuda.engine.loading import Batch, training_batches
from mtl_cuda.engine.logging import StepMeter

Size = tuple[int, int]
Layout = Literal["cityscapes", "camvid"]


def configuration(root: Path, size: Size, layout: Layout, workers: int, batch: int) -> TrainConfig:
    """The demo's, on other data."""
    config = demo_config(root, Path("unused"), 1.0, 0)
    camvid = layout == "camvid"
    data = replace(
        config.data, root=str(root), name=layout, size=size, scale_range=(0.7, 2.0),
        workers=workers, batch_size=batch, timeout=300.0,
    )  # fmt: skip
    loss = replace(config.loss, tasks=("semantic",) if camvid else config.loss.tasks)
    return replace(config, data=data, loss=loss)


def images_per_second(config: TrainConfig, images: int) -> float:
    """Of the loader alone, after a first batch that starts the workers."""
    batches: Iterator[Batch] = training_batches(open_source(config, "train"), config.data, 0)
    batch = config.data.batch_size
    next(batches)
    count = max(1, images // batch)
    begin = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * batch / (time.perf_counter() - begin)


def waiting(config: TrainConfig, steps: int) -> dict[str, float]:
    """Images per second and share of waiting of training steps, as a run logs them."""
    source, device = open_source(config, "train"), torch.device("cpu")
    criterion = build_criterion(config.loss, source.info)
    network = build_network(config.model, criterion.tasks)
    learner, meter = Learner(network, criterion, config, device), StepMeter()
    batches = meter.watching(training_batches(source, config.data, 0))
    for step in range(steps + 1):
        with meter.timing(config.data.batch_size):
            row = learner.learn([next(batches)], step, steps + 1)
        meter.add(row)
        if step == 0:
            meter.means()  # leaves the first one out, which starts the workers
    return meter.speed()


def measure(
    options: argparse.Namespace, name: str, root: Path, size: Size, layout: Layout = "cityscapes"
) -> list[dict[str, Any]]:
    """Rows of one tree at one size."""
    rows = []
    for workers in options.workers:
        config = configuration(root, size, layout, workers, options.batch)
        row: dict[str, Any] = {"name": name, "size": "x".join(map(str, size)), "workers": workers}
        row["images_per_s"] = images_per_second(config, options.images)
        speed = waiting(config, options.steps)
        row |= {"training": speed["images_per_s"], "data_wait": speed["data_wait"]}
        rows.append(row)
        print(
            f"{name:24s} {row['size']:>9s}  workers {workers}  {row['images_per_s']:8.1f} images/s"
            f"   training {row['training']:6.1f} images/s, {row['data_wait']:4.0%} waiting",
            flush=True,
        )
    return rows


def parse_size(text: str) -> Size:
    height, width = (int(number) for number in text.split("x"))
    return height, width


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="a full-size tree, instead of generated scenes")
    parser.add_argument("--full", type=parse_size, default=(1024, 2048), help="size of those")
    parser.add_argument("--scenes", type=int, default=8, help="how many of those (default 8)")
    parser.add_argument("--sizes", type=parse_size, nargs="+", default=[(128, 256), (512, 1024)])
    parser.add_argument("--camvid", type=Path, help="root of CamVid; adds rows at 360x480")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--images", type=int, default=32, help="timed, of the loader alone")
    parser.add_argument("--steps", type=int, default=6, help="timed, of training")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    rows, preparing = [], {}
    with tempfile.TemporaryDirectory() as folder:
        root = options.root
        if root is None:
            root = write_dataset(Path(folder, "full"), options.scenes, 1, options.full)
        for size in options.sizes:
            rows += measure(options, "resized when loaded", root, size)
            small = Path(folder, "x".join(map(str, size)))
            begin = time.perf_counter()
            prepared = prepare_dataset(root, small, size, ["train"])
            per_second = sum(prepared.counts.values()) / (time.perf_counter() - begin)
            preparing[small.name] = per_second
            print(f"prepared at {small.name}: {per_second:.1f} images/s, one process")
            rows += measure(options, "prepared", small, size)
    if options.camvid:
        rows += measure(options, "CamVid", options.camvid, (360, 480), "camvid")
    if options.json:
        kept = {k: v for k, v in vars(options).items() if k not in ("root", "camvid", "json")}
        common.write_results(
            options.json, {"options": kept, "rows": rows, "prepared_images_per_s": preparing}
        )


if __name__ == "__main__":
    main()
