"""Arguments of `mtl-cuda disparity`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

HELP = "make disparity maps of stereo pairs by semi-global matching: pseudo-labels for depth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    _add_pairs(parser)
    _add_matching(parser)
    _add_masks(parser)
    _add_cameras(parser)
    _add_evaluation(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.disparity import evaluate_disparities, make_disparities
    from mtl_cuda.data.sgm import SgmSettings
    from mtl_cuda.data.stereo.cameras import write_cameras
    from mtl_cuda.data.stereo.options import StereoOptions
    from mtl_cuda.data.stereo.pairs import find_dataset_pairs, find_pairs

    _check(args)
    sgm = SgmSettings(
        num_disparities=args.disparities,
        block_size=args.block,
        mode=args.mode,
        uniqueness=args.uniqueness,
        left_right=None if args.left_right < 0 else args.left_right,
        speckle_size=args.speckle,
        max_gap=args.max_gap,
    )
    options = StereoOptions(sgm, args.half, args.mask_labels, args.sky)
    if args.dataset:
        pairs = find_dataset_pairs(args.dataset, args.split)
        out = args.out or args.dataset / "disparity_sgm"
    else:
        pairs, out = find_pairs(args.left, args.right), args.out
    given = None if args.focal is None else (args.focal, args.baseline)
    if given or args.cameras:
        folder = args.cameras or out.resolve().parent / "camera"
        count = write_cameras(pairs, folder, given, args.overwrite)
        print(f"{count} camera files: {folder.resolve()}")
    make_disparities(pairs, out, options, args.confidence, args.overwrite, args.workers)
    if args.evaluate:
        evaluate_disparities(pairs, out, args.evaluate, args.gt_scale, args.json)
    return 0


# fmt: off
def _add_pairs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pairs")
    group.add_argument("--dataset", type=Path, metavar="ROOT",
                       help="Cityscapes tree with leftImg8bit and rightImg8bit")
    group.add_argument("--split", action="append", metavar="NAME",
                       help="split of the tree, may be repeated (default: all)")
    group.add_argument("--left", type=Path, help="left picture, or folder of pictures")
    group.add_argument("--right", type=Path, help="right picture, or folder with the same names")
    group.add_argument("--out", type=Path, metavar="DIR", help="folder for NAME_disparity.png, "
                       "16 bits, 0 = invalid, else 256 d + 1 (default: ROOT/disparity_sgm)")
    group.add_argument("--confidence", action="store_true", help="also write NAME_confidence.png: "
                       "0 invalid, 1 filled, 2 matched but unchecked, 3 checked, 4 known from the "
                       "label")
    group.add_argument("--overwrite", action="store_true",
                       help="replace files that are there (else they are skipped)")
    group.add_argument("--workers", type=int, default=_cores(),
                       help="processes (default %(default)s: one for each core)")


def _add_matching(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("matching")
    group.add_argument("--disparities", type=int, default=128, metavar="N", help="try disparities "
                       "0 .. N-1, a multiple of 16, at most 256 (default 128)")
    group.add_argument("--mode", choices=("3way", "5way", "full"), default="3way",
                       help="path directions; full (8) needs much memory (default 3way)")
    group.add_argument("--block", type=int, default=3, metavar="N",
                       help="side of the blocks compared, odd (default 3)")
    group.add_argument("--half", action="store_true",
                       help="match at half the resolution: about 6 times as fast, coarser")
    group.add_argument("--uniqueness", type=int, default=15, metavar="PERCENT",
                       help="how much better the best match must be (default 15)")
    group.add_argument("--left-right", type=float, default=1.0, metavar="PX", help="how far "
                       "matching from right to left may disagree; -1: no check (default 1)")
    group.add_argument("--speckle", type=int, default=50, metavar="N",
                       help="drop islands of up to N pixels (default 50; 0: none)")
    group.add_argument("--max-gap", type=int, metavar="PX", help="interpolate gaps in a row of up "
                       "to so many pixels within a surface (default: disparities / 3; 0: none)")


def _add_masks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("masks")
    group.add_argument("--mask-labels", action="store_true", help="where the tree has gtFine label "
                       "ids, make ego vehicle, rectification border and out of roi "
                       "invalid")
    group.add_argument("--sky", choices=("far", "invalid", "matched"), default="far",
                       help="with --mask-labels, what becomes of sky: infinitely far (valid), "
                       "invalid, or as matched (default far)")


def _add_cameras(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cameras, for depth in metres")
    group.add_argument("--focal", type=float, metavar="PX",
                       help="focal length in pixels: write a camera file for each pair")
    group.add_argument("--baseline", type=float, metavar="M",
                       help="distance of the two cameras in metres")
    group.add_argument("--cameras", type=Path, metavar="DIR", help="folder for camera files "
                       "(default: camera, beside the folder of the disparities); without --focal "
                       "those of the tree are copied there")


def _add_evaluation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("evaluation")
    group.add_argument("--evaluate", type=Path, metavar="GT", help="compare with these disparities "
                       "(a folder, or the file of a single pair): 16-bit PNG as above, .npz or "
                       ".npy in pixels with inf = unknown, or any PNG with --gt-scale")
    group.add_argument("--gt-scale", type=float, metavar="S",
                       help="PNGs of --evaluate hold S d, 0 = unknown")
    group.add_argument("--json", type=Path, metavar="FILE",
                       help="write the numbers of --evaluate to this file")
# fmt: on


def _check(args: argparse.Namespace) -> None:
    if bool(args.dataset) == bool(args.left or args.right):
        raise ValueError("give either --dataset, or --left and --right")
    if not args.dataset:
        for name in ("left", "right", "out"):
            if getattr(args, name) is None:
                raise ValueError(f"--{name} is missing: pairs need --left, --right and --out")
        for name in ("split", "mask_labels"):
            if getattr(args, name):
                raise ValueError(f"--{name.replace('_', '-')} needs --dataset")
    if (args.focal is None) != (args.baseline is None):
        raise ValueError("--focal and --baseline go together")
    if args.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {args.workers}")
    if (args.gt_scale is not None or args.json) and not args.evaluate:
        raise ValueError("--gt-scale and --json need --evaluate")


def _cores() -> int:
    """The cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
