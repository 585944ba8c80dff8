"""Arguments of `mtl-cuda evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtl_cuda.cli.arguments import add_checkpoint, add_instances, given_instances

HELP = "measure a trained network on a split of its data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    add_checkpoint(parser)
    parser.add_argument("--root", help="folder of the data set, where it is not the one trained on")
    parser.add_argument("--split", help="split to measure on (default: the one of the training)")
    parser.add_argument("--export", type=Path, metavar="DIR", help="folder to make, with the "
                          "results in the formats of the official Cityscapes scripts; the metrics "
                          "are then those at the size of the label files")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the metrics, with those "
                          "of every class, to this file")  # fmt: skip
    add_instances(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.evaluate import run_evaluation

    run_evaluation(
        args.checkpoint,
        args.root,
        args.split,
        args.device,
        args.export,
        args.json,
        given_instances(args),
    )
    return 0
