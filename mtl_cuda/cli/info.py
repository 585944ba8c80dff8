"""`mtl-cuda info` takes no arguments."""

from __future__ import annotations

import argparse

HELP = "say what is installed, how it was built and what is missing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.info import report

    print(report())
    return 0
