"""Arguments of `mtl-cuda prepare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtl_cuda.cli.arguments import size

HELP = "resize a data set once, so that training reads small files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    parser.add_argument("--root", type=Path, required=True, help="of a Cityscapes or CamVid tree")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--size", type=size, required=True, metavar="HxW",
                        help="height and width of the images to write")  # fmt: skip
    parser.add_argument(
        "--splits", nargs="+", metavar="SPLIT", help="such as train val (default: all)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.prepare import run_prepare

    run_prepare(args.root, args.out, args.size, args.splits, args.workers)
    return 0
