"""Arguments that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, and where its network runs."""
    parser.add_argument("checkpoint", type=Path, help="best.pt or last.pt of a training run, or "
                        "the .safetensors that mtl-cuda export writes")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")


def add_instances(parser: argparse.ArgumentParser) -> None:
    """Options with the names of the fields of `InstanceConfig`; None is what the training says."""
    group = parser.add_argument_group("instances (default: as configured in training)")
    group.add_argument("--eps", type=float, metavar="PIXELS",
                       help="votes for a centre at most this far apart are neighbours")  # fmt: skip
    group.add_argument("--min-samples", type=int, metavar="N",
                       help="neighbours that a vote in the core of an instance has")  # fmt: skip
    group.add_argument("--min-pixels", type=int, metavar="N",
                       help="smaller instances are dropped")  # fmt: skip


def given_instances(args: argparse.Namespace) -> dict[str, float]:
    """The options of `add_instances` that were given."""
    given = {name: getattr(args, name) for name in ("eps", "min_samples", "min_pixels")}
    return {name: value for name, value in given.items() if value is not None}


def size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH as numbers."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 128x256, got {text!r}")
    return int(height), int(width)
