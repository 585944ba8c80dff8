"""Arguments of `mtl-cuda synth`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtl_cuda.cli.arguments import size

HELP = "generate street scenes as a complete Cityscapes tree"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--train", type=int, default=400, help="training scenes (default 400)")
    parser.add_argument("--val", type=int, default=50, help="validation scenes (default 50)")
    parser.add_argument("--size", type=size, default=(128, 256), metavar="HxW",
                       help="height and width in pixels (default 128x256)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="same seed, same scenes (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file with settings of the streets: see docs/scenes.md",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="settings, also in place of the file's: texture=0.5 noise=0.02,0.06",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace scenes made before")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.synth import read_settings, run_synth

    run_synth(
        args.out,
        args.train,
        args.val,
        args.size,
        args.seed,
        args.workers,
        config=read_settings(args.config, args.settings),
        overwrite=args.overwrite,
    )
    return 0
