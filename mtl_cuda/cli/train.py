"""Arguments of `mtl-cuda train`: the keys of its configuration, which reads them itself."""

from __future__ import annotations

from collections.abc import Sequence

HELP = "train a network as a YAML file says"


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.train import run_training
    from mtl_cuda.engine.config import parse_arguments

    return run_training(parse_arguments(arguments))
