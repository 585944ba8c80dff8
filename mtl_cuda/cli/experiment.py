"""Arguments of `mtl-cuda experiment`: its own, and the keys of a training's configuration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

HELP = "run an experiment of the paper: table1, sweep, sigma, likelihoods, weightings"
_USAGE = (
    "mtl-cuda experiment NAME --config FILE --out DIR [--seeds N] [--jobs N] [--reuse DIR] "
    "[--KEY VALUE ...]"
)
_EPILOG = (
    "KEY VALUE are those of mtl-cuda train, such as --run.steps 2000. Finished runs in DIR are "
    "skipped and interrupted ones go on, so the same command can be given again. Exit codes: 2 "
    "where runs failed (the others are not affected), 130 and 143 after Ctrl-C and SIGTERM."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    parser.usage, parser.epilog = _USAGE, _EPILOG
    parser.add_argument("name", metavar="NAME", choices=("table1", "sweep", "sigma", "likelihoods",
                        "weightings"), help="the experiment")  # fmt: skip
    parser.add_argument("--config", required=True, help="YAML file, as mtl-cuda train has")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seeds", type=int, help="runs of every variant (default 3; sigma: 1)")
    parser.add_argument("--jobs", type=int, default=1,
                        help="runs at a time, which share the cores (default 1)")  # fmt: skip
    parser.add_argument("--reuse", type=Path, action="append", default=[], metavar="DIR",
                        help="folder of another experiment, whose finished runs of the same "
                        "configuration are taken over; may be given again")  # fmt: skip


def run(args: argparse.Namespace, keys: Sequence[str]) -> int:
    """Run the command; returns its exit code.

    Args:
        args: its own arguments.
        keys: the others, which the configuration takes.
    """
    from mtl_cuda.commands.experiment import run_experiment
    from mtl_cuda.engine.config import parse_arguments

    config = parse_arguments(["--config", args.config, *keys])
    return run_experiment(args.name, config, args.out, args.seeds, args.jobs, args.reuse)
