"""`mtl-cuda prepare`: a data set resized once and for all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mtl_cuda.data.prepare import prepare_dataset


def run_prepare(
    root: Path, out: Path, size: tuple[int, int], splits: Sequence[str] | None, workers: int
) -> None:
    """Resize a data set with a progress bar: see `mtl_cuda.data.prepare.prepare_dataset`."""
    start = time.monotonic()
    with tqdm(unit="image", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        prepared = prepare_dataset(root, out, size, splits, workers=workers, progress=show)
    counts = ", ".join(f"{count} {split}" for split, count in prepared.counts.items())
    height, width = size
    print(
        f"{counts} in {time.monotonic() - start:.0f} s: {out.resolve()}\n"
        f"train on it with: --data.root {out} --data.size '[{height}, {width}]'"
    )
