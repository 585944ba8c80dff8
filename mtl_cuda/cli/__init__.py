"""The command `mtl-cuda`: arguments in, a call of `mtl_cuda.commands`, an exit code out.

One file per command, with its arguments and its call. What a command needs is imported when it
runs, so that help and mistakes are answered at once.
"""

from mtl_cuda.cli.program import main

__all__ = ["main"]
