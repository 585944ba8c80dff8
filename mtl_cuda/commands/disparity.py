"""`mtl-cuda disparity`: pseudo-labels for depth from stereo pairs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mtl_cuda.data.formats import decode_disparity
from mtl_cuda.data.io import read_png, write_bytes
from mtl_cuda.data.sgm import Confidence
from mtl_cuda.data.stereo.evaluate import BAD, DisparityErrors, find_truth, read_truth
from mtl_cuda.data.stereo.options import StereoOptions
from mtl_cuda.data.stereo.pairs import StereoPair
from mtl_cuda.data.stereo.write import (
    Outcome,
    confidence_path,
    disparity_path,
    write_disparities,
)

_SHOWN_ERRORS = 10


def make_disparities(
    pairs: Sequence[StereoPair],
    out: Path,
    options: StereoOptions,
    confidence: bool,
    overwrite: bool,
    workers: int,
) -> None:
    """Write the disparities of all pairs with a progress bar: see `write_disparities`.

    Raises:
        ValueError: pairs could not be matched; the others are written, the first few are named.
    """
    start, outcomes = time.monotonic(), []
    written = write_disparities(
        pairs, out, options, confidence=confidence, overwrite=overwrite, workers=workers
    )
    for outcome in tqdm(written, total=len(pairs), unit="pair", disable=None, leave=False):
        outcomes.append(outcome)
    _report(outcomes, pairs, options, time.monotonic() - start, out)
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed[1:_SHOWN_ERRORS]:
        print(f"{outcome.name}: {outcome.error}", file=sys.stderr)
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(pairs)} pairs have no disparities; {failed[0].error}"
        )


def evaluate_disparities(
    pairs: Sequence[StereoPair], out: Path, truth: Path, scale: float | None, table: Path | None
) -> None:
    """Print how far the disparities of the pairs are from the truth, pooled over all pixels.

    Args:
        pairs: those whose disparities are in `out`.
        out: folder of the disparities, and of confidences if there are any.
        truth: folder of true disparities (see `find_truth`); of a single pair also a file.
        scale: see `read_truth`.
        table: JSON file to write the numbers to.

    Raises:
        FileNotFoundError: no pair has a true disparity.
        ValueError: a file is damaged or of another size; names it.
    """
    everything = DisparityErrors()
    levels = {level: DisparityErrors() for level in Confidence if level != Confidence.INVALID}
    files = [(pair, _truth_of(pair, truth, len(pairs))) for pair in pairs]
    measured = [(pair.name, path) for pair, path in files if path is not None]
    if not measured:
        raise FileNotFoundError(
            f"no true disparity found: looked for {truth}/{pairs[0].name}"
            "{_disparity.png,.png,.npz,.npy}"
        )
    for name, path in tqdm(measured, unit="image", disable=None, leave=False):
        disparity = decode_disparity(read_png(disparity_path(out, name)))
        known = read_truth(path, scale)
        if known.shape != disparity.shape:
            raise ValueError(f"{path} is {known.shape}, but its pair {disparity.shape}")
        everything.update(disparity, known)
        trusted = confidence_path(out, name)
        for level, errors in levels.items() if trusted.is_file() else ():
            chosen = read_png(trusted) == level
            errors.update(disparity[chosen], known[chosen])
    results = {"images": len(measured), **everything.results()}
    by_level = {
        level.name.lower(): {"share": errors.pixels / everything.pixels, **errors.results()}
        for level, errors in levels.items()
        if errors.pixels
    }
    _print_results(results, by_level, truth, len(pairs))
    if table is not None:
        content = _without_nan({**results, "by_confidence": by_level})
        write_bytes(table, json.dumps(content, indent=2).encode() + b"\n")


def _without_nan(content: dict[str, Any]) -> dict[str, Any]:
    """For a JSON file, which knows no NaN."""
    return {
        key: _without_nan(value) if isinstance(value, dict) else None if value != value else value
        for key, value in content.items()
    }


def _truth_of(pair: StereoPair, truth: Path, count: int) -> Path | None:
    if truth.is_file() and count == 1:
        return truth
    return find_truth(truth, pair.name)


def _report(
    outcomes: Sequence[Outcome],
    pairs: Sequence[StereoPair],
    options: StereoOptions,
    seconds: float,
    out: Path,
) -> None:
    shares = [outcome.valid for outcome in outcomes if not (outcome.skipped or outcome.error)]
    parts = [f"{len(shares)} pairs in {seconds:.0f} s"]
    if shares:
        parts.append(f"{100 * np.mean(shares):.1f} % of the pixels valid")
    skipped = sum(outcome.skipped for outcome in outcomes)
    if skipped:
        parts.append(f"{skipped} were there already")
    if options.mask_labels:
        bare = sum(pair.labels is None for pair in pairs)
        parts += [f"{bare} without label ids to mask by"] if bare else []
    print(f"{', '.join(parts)}: {out.resolve()}")


def _print_results(
    results: dict[str, float], by_level: dict[str, dict[str, float]], truth: Path, count: int
) -> None:
    print(f"against {truth}, {results['images']} of {count} images, all pixels pooled:")
    print(
        f"  density         {results['density']:.3f} of all pixels, "
        f"{results['density_where_known']:.3f} where the truth is known\n"
        f"  truth's density {results['truth_density']:.3f}\n"
        f"  mean error      {results['mae']:.3f} px"
    )
    for limit in BAD:
        print(f"  bad-{limit}           {100 * results[f'bad_{limit}']:.2f} %")
    print(f"  agreement       {100 * results['agreement']:.2f} % within 1 px where both are valid")
    for name, numbers in by_level.items():
        print(
            f"  {name:<15} {100 * numbers['share']:.1f} % of the pixels: mean error "
            f"{numbers['mae']:.3f} px, bad-2 {100 * numbers['bad_2']:.2f} %"
        )
