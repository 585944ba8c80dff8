"""Arguments of `mtl-cuda demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make scenes, train on them and write a report, in a few minutes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    parser.add_argument(
        "--out", type=Path, default=Path("mtl-cuda-demo"), help="folder to write to"
    )
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="time for everything (default 3)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of scenes and training (default 0)")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.demo import run_demo

    return run_demo(args.out, args.minutes, args.seed)
