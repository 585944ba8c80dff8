"""Arguments of `mtl-cuda export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtl_cuda.cli.arguments import size

HELP = "write a trained network for other programs: safetensors, torch.export, ONNX"
_FORMATS = ("safetensors", "torch", "onnx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    parser.add_argument("checkpoint", type=Path, help="best.pt or last.pt of a training run")
    parser.add_argument("--out", type=Path, default=Path("exported"), help="folder to write to")
    parser.add_argument("--formats", nargs="+", choices=_FORMATS, default=["safetensors"],
                        help="safetensors: weights that mtl-cuda reads too (default); torch: "
                        "model.pt2 for torch.export.load; onnx: model.onnx")  # fmt: skip
    parser.add_argument("--size", type=size, metavar="HxW", help="of the images that torch and "
                        "onnx programs take (default: as in training)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.export import run_export

    run_export(args.checkpoint, args.out, args.formats, args.size)
    return 0
