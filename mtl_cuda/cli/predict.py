"""Arguments of `mtl-cuda predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtl_cuda.cli.arguments import add_checkpoint, add_instances, given_instances, size

HELP = "predict images and videos; write panels, class maps, instances, inverse depth, overlays"
_OUTPUTS = ("classes", "instances", "depth", "panels", "overlay")
_PRECISIONS = ("float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the command."""
    add_checkpoint(parser)
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT",
                        help="images, videos, or folders of them")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder to write to")
    parser.add_argument("--write", nargs="+", choices=_OUTPUTS, metavar="WHAT",
                        help=f"any of {', '.join(_OUTPUTS)} (default: all but overlay of images, "
                        "overlay of videos)")  # fmt: skip
    parser.add_argument("--benchmark", action="store_true", help="print images/s by stage")
    looks = parser.add_argument_group("how the network looks at an image")
    looks.add_argument("--size", type=_size_or_word, default="training", metavar="HxW",
                       help='size at which it sees images; "image" is their own (default: as in '
                       "training)")  # fmt: skip
    looks.add_argument("--window", type=size, metavar="HxW",
                       help="see it through windows of this size, and blend them")  # fmt: skip
    looks.add_argument("--overlap", type=float, default=1 / 3, metavar="SHARE",
                       help="of neighbouring windows (default 1/3)")  # fmt: skip
    looks.add_argument("--scales", type=float, nargs="+", default=[1.0], metavar="S",
                       help="see it at several sizes, as 0.75 1 1.25, and average")  # fmt: skip
    looks.add_argument("--flip", action="store_true", help="see it mirrored too, and average")
    looks.add_argument("--precision", choices=_PRECISIONS, default="float32",
                       help="what the network computes in (default float32)")  # fmt: skip
    looks.add_argument("--batch", type=int, default=1, metavar="N",
                       help="images (or windows) at once (default 1)")  # fmt: skip
    add_instances(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from mtl_cuda.commands.predict import run_prediction
    from mtl_cuda.inference.options import PredictOptions

    options = PredictOptions(
        size=args.size,
        window=args.window,
        overlap=args.overlap,
        scales=args.scales,
        flip=args.flip,
        precision=args.precision,
        batch=args.batch,
    )
    run_prediction(
        args.checkpoint,
        args.inputs,
        args.out,
        options,
        device=args.device,
        write=args.write,
        instances=given_instances(args),
        benchmark=args.benchmark,
    )
    return 0


def _size_or_word(text: str) -> tuple[int, int] | str:
    return text if text in ("training", "image") else size(text)
