"""The program `mtl-cuda`: picks the command, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from mtl_cuda.cli import (
    demo,
    disparity,
    evaluate,
    experiment,
    export,
    info,
    predict,
    prepare,
    synth,
    train,
)

_COMMANDS = {
    "demo": demo,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "synth": synth,
    "prepare": prepare,
    "disparity": disparity,
    "info": info,
}
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
        return train.run(rest)
    if args.command == "experiment":
        return experiment.run(args, rest)
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
        dest="command", metavar="COMMAND [...]", title="commands", prog="mtl-cuda"
    )

    commands.add_parser("train", add_help=False, help=train.HELP)
    for name, command in {"experiment": experiment, **_COMMANDS}.items():
        text = command.HELP
        one = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser


def _one_line(error: BaseException) -> str:
    """The message without line breaks; of an error in a loader's process the error itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1].partition(": ")[2] or lines[-1]
    return " ".join(lines) or type(error).__name__
