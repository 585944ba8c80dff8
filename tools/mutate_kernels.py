"""Counts how many small defects in the CUDA kernels of the loss the tests without a GPU find.

Makes one textual change at a time in a copy of the repository (csrc/loss/cuda/*.cuh), builds the
library of tests_native/simt and runs the tests of the loss on it: the plain ones first and, on what
survives them, those under sanitizers. Needs g++, the headers of CUDA and a built package; a sample
of sixty takes about an hour on one core.

A survivor is either a hole in the tests or a change without an effect: look at each of them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
KERNELS = "csrc/loss/cuda"
COPIED = ("csrc", "tests_native", "python_tests", "mtl_cuda", "tools", "pyproject.toml")
TESTS = [
    f"python_tests/native/test_simt_{name}.py"
    for name in ("dispatch", "loss", "l1", "scale", "large", "upsampled")
]
UNDER_SANITIZERS = "sanitizer or detector"
SECONDS = 300  # of one run of the tests; a kernel that does not end is found


@dataclass(frozen=True)
class Mutant:
    """One changed line."""

    path: str
    line: int  # from 1
    kind: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.kind}\n  - {self.before}\n  + {self.after}"


def swapped(line: str, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The line with one occurrence of one text replaced, for each."""
    for old, new in pairs:
        for match in re.finditer(re.escape(old), line):
            yield line[: match.start()] + new + line[match.end() :]


def comparisons(line: str) -> Iterator[str]:
    """Bounds off by one, conditions turned around. Spaces tell operators from templates."""
    pairs = [(" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > ")]
    yield from swapped(line, [*pairs, (" == ", " != "), (" != ", " == ")])


def conditions(line: str) -> Iterator[str]:
    """Either for both, yes for no."""
    yield from swapped(line, [(" && ", " || "), (" || ", " && "), ("true", "false")])
    yield from swapped(line, [("false", "true"), ("if (!", "if ("), ("!known", "known")])


def arithmetic(line: str) -> Iterator[str]:
    """Another operator."""
    yield from swapped(line, [(" + ", " - "), (" - ", " + "), (" * ", " + "), (" / ", " * ")])
    yield from swapped(line, [(" % ", " / "), (" += ", " -= "), (" -= ", " += "), ("++", "--")])


def indices(line: str) -> Iterator[str]:
    """An index one too far."""
    for match in re.finditer(r"(?<=\w)\[([^\[\]]+)\]", line):
        yield line[: match.end() - 1] + " + 1" + line[match.end() - 1 :]


def constants(line: str) -> Iterator[str]:
    """Another number; the stride of another dimension."""
    for match in re.finditer(r"(?<![\w.])(\d+)(?=\.\d|\b(?!\.))", line):
        yield line[: match.start()] + str(int(match[1]) + 1) + line[match.end() :]
    yield from swapped(line, [("strides[0]", "strides[1]"), ("strides[1]", "strides[0]")])


def narrow_integers(line: str) -> Iterator[str]:
    """Indices of 32 bits."""
    for old in ("int64_t{", "const int64_t ", "(int64_t "):
        yield from swapped(line, [(old, old.replace("int64_t", "int"))])


def removed(line: str) -> Iterator[str]:
    """A barrier, a guard or another whole statement left out."""
    declares = re.match(
        r"\s*(const|constexpr|using|static_assert|return|template|double|float)\b", line
    )
    if re.search(r"\w.*;$", line) and not declares and line.count("(") == line.count(")"):
        yield ";"


KINDS = (comparisons, conditions, arithmetic, indices, constants, narrow_integers, removed)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mutants of a file; comments, preprocessor lines and launch bounds are left alone."""
    for number, text in enumerate(path.read_text().splitlines(), 1):
        line, comment, rest = text.partition("  //")
        skipped = ("//", "#", "__launch_bounds__", "template", "constexpr int k", "static_assert")
        if line.strip().startswith(skipped) or "__launch_bounds__" in line:
            continue
        for kind in KINDS:
            for after in dict.fromkeys(kind(line)):
                yield Mutant(
                    str(path.relative_to(ROOT / KERNELS)),
                    number,
                    kind.__name__,
                    line.strip(),
                    after + comment + rest,
                )


def run(folder: Path, *command: str, seconds: float = SECONDS) -> str | None:
    """What the command printed, or None where it succeeded."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "python_tests/native")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that tests start
        process.wait()
        return "no end"
    return None if process.returncode == 0 else output


def verdict(folder: Path, sanitizers: bool) -> str:
    """What becomes of the mutant in `folder`."""
    if run(folder, "-c", "import simt_loss; simt_loss.build_loss()") is not None:
        return "not compiled"
    pytest = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS, "-k")
    if run(folder, *pytest, f"not ({UNDER_SANITIZERS})") is not None:
        return "killed"
    if sanitizers and run(folder, *pytest, UNDER_SANITIZERS, seconds=3 * SECONDS) is not None:
        return "killed under a sanitizer"
    return "survived"


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries a sample of mutants; always succeeds: the figure is to be read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=60, help="size of the sample")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--minutes", type=float, default=90, help="no new mutant after these")
    parser.add_argument("--files", default="*.cuh", help=f"pattern below {KERNELS}")
    parser.add_argument("--no-sanitizers", action="store_true", help="only the plain tests")
    options = parser.parse_args(arguments)

    paths = sorted((ROOT / KERNELS).glob(options.files))
    every = list(itertools.chain.from_iterable(map(mutants_of, paths)))
    sample = random.Random(options.seed).sample(every, min(options.count, len(every)))
    print(f"{len(every)} mutants, a sample of {len(sample)}", flush=True)
    end, verdicts = time.monotonic() + 60 * options.minutes, Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        if failure := run(folder, "-m", "pytest", "-x", "-q", *TESTS, "-k", "same_bits"):
            raise SystemExit(f"the tests fail without any change:\n{failure}")
        for mutant in sample:
            if time.monotonic() > end:
                break
            path = folder / KERNELS / mutant.path
            original = path.read_text()
            lines = original.splitlines()
            lines[mutant.line - 1] = mutant.after
            path.write_text("\n".join(lines) + "\n")
            result = verdict(folder, not options.no_sanitizers)
            path.write_text(original)
            verdicts[result] += 1
            print(f"{result}: {mutant}", flush=True)
    killed = sum(n for result, n in verdicts.items() if result.startswith("killed"))
    tried = killed + verdicts["survived"]
    print(f"{dict(verdicts)}: {killed} of {tried} killed, {100 * killed / max(tried, 1):.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
