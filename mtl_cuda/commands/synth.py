"""`mtl-cuda synth`: generated scenes as a data set."""

from __future__ import annotations

import time
from pathlib import Path

from tqdm import tqdm

from mtl_cuda.data.synth import write_dataset


def run_synth(
    out: Path,
    train: int,
    val: int,
    size: tuple[int, int],
    seed: int,
    workers: int,
    overwrite: bool = False,
) -> None:
    """Generate scenes with a progress bar: see `mtl_cuda.data.synth.write_dataset`."""
    start = time.monotonic()
    with tqdm(total=train + val, unit="scene", disable=None, leave=False) as bar:
        write_dataset(
            out,
            train,
            val,
            size,
            seed,
            workers,
            lambda done, _: bar.update(done - bar.n),
            overwrite=overwrite,
        )
    print(f"{train} + {val} scenes in {time.monotonic() - start:.0f} s: {out.resolve()}")
