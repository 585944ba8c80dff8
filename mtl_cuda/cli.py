"""The command `mtl-cuda`: arguments in, a call of `mtl_cuda.engine`, an exit code out.

What a command needs is imported when it runs, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_USER_ERRORS = (ValueError, OSError, ImportError, RuntimeError)
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `mtl-cuda` with the given arguments, by default those of the process.

    Returns:
        0; 2 after an error, told in one line on stderr; 130 after Ctrl-C; 143 where SIGTERM
        stopped a training.
    """
    _let_threads_sleep()
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        print("mtl-cuda: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except _USER_ERRORS as error:
        if os.environ.get("MTL_CUDA_TRACEBACK") == "1":
            traceback.print_exc()
        print(f"mtl-cuda: error: {_one_line(error)}", file=sys.stderr)
        return 2


def _let_threads_sleep() -> None:
    """Make OpenMP's threads sleep while they wait for one another, unless told otherwise.

    By default they spin. On cores that other programs use too, a spinning thread takes the time of
    the one it waits for: training on two cores beside one busy program took up to 8 times as long,
    and alone it was no faster. OpenMP reads the variable once, when torch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _run(arguments: list[str]) -> int:
    parser = _build_parser()
    args, rest = parser.parse_known_args(arguments)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    if args.command == "train":
        return _train(rest)
    if rest:
        raise ValueError(f"unrecognized arguments: {' '.join(rest)}")
    return args.run(args)


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mtl-cuda",
        usage="mtl-cuda COMMAND [...]",
        description="Train one network for semantics, instances and depth at once; the losses "
        "weigh themselves by learned uncertainty.",
        epilog="mtl-cuda COMMAND --help tells more. With MTL_CUDA_TRACEBACK=1 errors come with "
        "their traceback.",
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog="mtl-cuda"
    )

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    demo = add("demo", "make scenes, train on them and write a report, in a few minutes")
    demo.add_argument("--out", type=Path, default=Path("mtl-cuda-demo"), help="folder to write to")
    demo.add_argument("--minutes", type=float, default=3.0, help="time for everything (default 3)")
    demo.add_argument("--seed", type=int, default=0, help="of scenes and training (default 0)")
    demo.set_defaults(run=_demo)

    commands.add_parser("train", add_help=False, help="train a network as a YAML file says")

    evaluate = add("evaluate", "measure a trained network on a split of its data set")
    _add_checkpoint(evaluate)
    evaluate.add_argument(
        "--root", help="folder of the data set, where it is not the one trained on"
    )
    evaluate.add_argument("--split", help="split to measure on (default: the one of the training)")
    evaluate.add_argument("--export", type=Path, metavar="DIR", help="folder to make, with the "
                          "results in the formats of the official Cityscapes scripts; the metrics "
                          "are then those at the size of the label files")  # fmt: skip
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the metrics, with those "
                          "of every class, to this file")  # fmt: skip
    _add_instances(evaluate)
    evaluate.set_defaults(run=_evaluate)

    predict = add("predict", "predict images and write panels, class maps and instances")
    _add_checkpoint(predict)
    predict.add_argument("images", type=Path, nargs="+", help="image files, or folders of them")
    predict.add_argument("--out", type=Path, default=Path("predictions"), help="folder to write to")
    predict.add_argument("--size", type=_size, metavar="HxW", help="size at which the network sees "
                         "the images (default: as in training)")  # fmt: skip
    _add_instances(predict)
    predict.set_defaults(run=_predict)

    synth = add("synth", "generate street scenes as a complete Cityscapes tree")
    synth.add_argument("--out", type=Path, required=True, help="folder to write to")
    synth.add_argument("--train", type=int, default=400, help="training scenes (default 400)")
    synth.add_argument("--val", type=int, default=50, help="validation scenes (default 50)")
    synth.add_argument("--size", type=_size, default=(128, 256), metavar="HxW",
                       help="height and width in pixels (default 128x256)")  # fmt: skip
    synth.add_argument("--seed", type=int, default=0, help="same seed, same scenes (default 0)")
    synth.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    synth.add_argument("--overwrite", action="store_true", help="replace scenes made before")
    synth.set_defaults(run=_synth)

    add("info", "say what is installed, how it was built and what is missing").set_defaults(
        run=_info
    )
    return parser


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, help="best.pt or last.pt of a training run")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")


def _add_instances(parser: argparse.ArgumentParser) -> None:
    """Options with the names of the fields of `InstanceConfig`; None is what the training says."""
    group = parser.add_argument_group("instances (default: as configured in training)")
    group.add_argument("--eps", type=float, metavar="PIXELS",
                       help="votes for a centre at most this far apart are neighbours")  # fmt: skip
    group.add_argument("--min-samples", type=int, metavar="N",
                       help="neighbours that a vote in the core of an instance has")  # fmt: skip
    group.add_argument("--min-pixels", type=int, metavar="N",
                       help="smaller instances are dropped")  # fmt: skip


def _instances(args: argparse.Namespace) -> dict[str, float]:
    given = {name: getattr(args, name) for name in ("eps", "min_samples", "min_pixels")}
    return {name: value for name, value in given.items() if value is not None}


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 128x256, got {text!r}")
    return int(height), int(width)


def _demo(args: argparse.Namespace) -> int:
    from mtl_cuda.engine.demo import run_demo

    return run_demo(args.out, args.minutes, args.seed)


def _train(arguments: list[str]) -> int:
    from mtl_cuda.engine.commands import run_training
    from mtl_cuda.engine.config import parse_arguments

    return run_training(parse_arguments(arguments))


def _evaluate(args: argparse.Namespace) -> int:
    from mtl_cuda.engine.commands import run_evaluation

    run_evaluation(
        args.checkpoint,
        args.root,
        args.split,
        args.device,
        args.export,
        args.json,
        _instances(args),
    )
    return 0


def _predict(args: argparse.Namespace) -> int:
    from mtl_cuda.engine.commands import run_prediction

    run_prediction(args.checkpoint, args.images, args.out, args.size, args.device, _instances(args))
    return 0


def _synth(args: argparse.Namespace) -> int:
    from mtl_cuda.engine.commands import run_synth

    run_synth(args.out, args.train, args.val, args.size, args.seed, args.workers, args.overwrite)
    return 0


def _info(args: argparse.Namespace) -> int:
    from mtl_cuda.info import report

    print(report())
    return 0


def _one_line(error: BaseException) -> str:
    """The message without line breaks; of an error in a loader's process the error itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1].partition(": ")[2] or lines[-1]
    return " ".join(lines) or type(error).__name__
