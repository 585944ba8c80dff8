"""Arguments of `mtl-cuda predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtl_cuda.cli.arguments import add_checkpoint, add_instances, given_instances, size

HELP = "predict images and write panels, class maps and instances"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    add_checkpoint(parser)
    parser.add_argument("images", type=Path, nargs="+", help="image files, or folders of them")
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder to write to")
    parser.add_argument("--size", type=size, metavar="HxW", help="size at which the network sees "
                         "the images (default: as in training)")  # fmt: skip
    add_instances(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.predict import run_prediction

    run_prediction(
        args.checkpoint, args.images, args.out, args.size, args.device, given_instances(args)
    )
    return 0
