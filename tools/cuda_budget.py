"""Holds the compiled CUDA kernels to a committed budget; needs nvcc, and no GPU.

Compiles each .cu file for each major architecture and compares what ptxas reports with
csrc/cuda_budget.json. It fails where a kernel

* spills or uses local memory, unless the table allows it (``"local_bytes"``, written by hand);
* needs more registers than the table says, or is not in the table;
* is in the table and no longer exists;
* has lost its 16-byte loads or stores (``"wide"``; checked where cuobjdump is found, which PyPI's
  nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm bring).

``--update`` writes what the compiler reports now, so that a change shows in review.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "csrc" / "cuda_budget.json"
ARCHITECTURES = (75, 80, 90, 100, 110, 120)


@dataclass
class Kernel:
    """What the compiler says of one kernel."""

    registers: dict[int, int] = field(default_factory=dict)  # by architecture
    local_bytes: dict[int, int] = field(default_factory=dict)  # per thread, spills among them
    wide: set[str] | None = None  # 16-byte accesses in all architectures; None: not known

    def add(self, other: Kernel) -> None:
        """Takes over another architecture's numbers."""
        for mine, theirs in (
            (self.registers, other.registers),
            (self.local_bytes, other.local_bytes),
        ):
            for architecture, count in theirs.items():
                mine[architecture] = max(count, mine.get(architecture, 0))
        if other.wide is not None:
            self.wide = other.wide if self.wide is None else self.wide & other.wide


def find_tool(name: str) -> str | None:
    """A program of the CUDA toolkit: from CUDA_HOME, PATH, /usr/local/cuda or site-packages."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH")]
    folders = [str(Path(home) / "bin") for home in homes if home]
    folders += os.environ.get("PATH", "").split(os.pathsep)
    folders += ["/usr/local/cuda/bin", str(Path(sysconfig.get_path("purelib")) / "nvidia/cu13/bin")]
    return shutil.which(name, path=os.pathsep.join(folders))


def find_nvcc() -> str:
    """The compiler; ends the program where there is none."""
    nvcc = find_tool("nvcc")
    if nvcc is None:
        raise SystemExit("no nvcc in CUDA_HOME, CUDA_PATH, PATH, /usr/local/cuda or site-packages")
    return nvcc


def parse_ptxas(report: str) -> dict[str, Kernel]:
    """Mangled name -> Kernel, from what ``-Xptxas -v`` prints."""
    kernels: dict[str, Kernel] = {}
    kernel, architecture = Kernel(), 0
    for line in report.splitlines():
        if entry := re.search(r"Compiling entry function '(\S+)' for 'sm_(\d+)", line):
            kernel, architecture = kernels.setdefault(entry[1], Kernel()), int(entry[2])
        elif stack := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores", line):
            kernel.local_bytes[architecture] = max(int(stack[1]), int(stack[2]))
        elif used := re.search(r"Used (\d+) registers", line):
            kernel.registers[architecture] = int(used[1])
    return kernels


def parse_wide(sass: str) -> dict[str, set[str]]:
    """Mangled name -> its accesses of global memory of 16 bytes and more: "LDG.128", "STG.128"."""
    wide: dict[str, set[str]] = {}
    accesses: set[str] = set()
    for line in sass.splitlines():
        if function := re.search(r"Function : (\S+)", line):
            accesses = wide.setdefault(function[1], set())
        elif access := re.search(r"\b(LDG|STG)\.([A-Z0-9.]*)", line):
            accesses.update(f"{access[1]}.{w}" for w in ("128", "256") if w in access[2].split("."))
    return wide


def demangle(names: Iterable[str]) -> dict[str, str]:
    """Mangled -> readable name, without parameters; as it is where there is no c++filt."""
    mangled = sorted(names)
    if shutil.which("c++filt") is None:
        return {name: name for name in mangled}
    result = subprocess.run(
        ["c++filt", "-p"], input="\n".join(mangled), capture_output=True, text=True, check=True
    )
    return dict(zip(mangled, result.stdout.splitlines()))


def compile_kernels(source: Path, architecture: int) -> dict[str, Kernel]:
    """Readable name -> Kernel of one file for one architecture."""
    cuobjdump = find_tool("cuobjdump")
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernels.cubin"
        flags = ["-std=c++17", f"-I{ROOT / 'csrc'}", f"-arch=sm_{architecture}", "-cubin"]
        command = [find_nvcc(), *flags, "-Xptxas", "-v", str(source), "-o", str(cubin)]
        compiled = subprocess.run(command, capture_output=True, text=True)
        if compiled.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\n{compiled.stdout}{compiled.stderr}")
        mangled = parse_ptxas(compiled.stdout + compiled.stderr)
        if cuobjdump is not None:
            path = f"{Path(cuobjdump).parent}{os.pathsep}{os.environ.get('PATH', '')}"
            dump = subprocess.run(
                [cuobjdump, "--dump-sass", str(cubin)],
                env=os.environ | {"PATH": path},  # where it looks for nvdisasm
                capture_output=True,
                text=True,
                check=True,
            )
            for name, wide in parse_wide(dump.stdout).items():
                mangled[name].wide = wide
    kernels: dict[str, Kernel] = {}
    for name, readable in demangle(mangled).items():
        kernels.setdefault(readable, Kernel()).add(mangled[name])
    return kernels


def compile_all(sources: Sequence[Path], architectures: Sequence[int]) -> dict[str, Kernel]:
    """Readable name -> Kernel, over all files and architectures."""
    jobs = [(source, architecture) for source in sources for architecture in architectures]
    kernels: dict[str, Kernel] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(lambda job: compile_kernels(*job), jobs):
            for name, kernel in part.items():
                kernels.setdefault(name, Kernel()).add(kernel)
    return kernels


def complaints(kernels: dict[str, Kernel], table: dict, compiler: str) -> list[str]:
    """What exceeds the table, one line each."""
    found = []
    same_compiler = table["compiler"] == compiler
    for name in sorted(kernels.keys() | table["kernels"].keys()):
        kernel, budget = kernels.get(name), table["kernels"].get(name)
        if kernel is None:
            found.append(f"{name}: in the table, and no longer compiled")
            continue
        local_allowed = (budget or {}).get("local_bytes", 0)
        for architecture, count in kernel.local_bytes.items():
            if count > local_allowed:
                found.append(f"{name}: {count} bytes of local memory on sm_{architecture}")
        if budget is None:
            found.append(f"{name}: not in the table")
            continue
        allowed = dict(zip(table["architectures"], budget["registers"]))
        for architecture, count in kernel.registers.items():
            if same_compiler and count > allowed.get(architecture, count):
                found.append(
                    f"{name}: {count} registers on sm_{architecture}, the table allows "
                    f"{allowed[architecture]}"
                )
        if kernel.wide is not None:
            lost = set(budget.get("wide", ())) - kernel.wide
            found += [f"{name}: no {access} any more" for access in sorted(lost)]
    return found


def updated(
    kernels: dict[str, Kernel], table: dict, architectures: Sequence[int], compiler: str
) -> dict:
    """The table for these kernels. Allowances of local memory are kept, never made."""
    rows = {}
    for name, kernel in sorted(kernels.items()):
        old = table["kernels"].get(name, {})
        row: dict = {"registers": [kernel.registers[a] for a in architectures]}
        if "local_bytes" in old:
            row["local_bytes"] = old["local_bytes"]
        row["wide"] = sorted(kernel.wide) if kernel.wide is not None else old.get("wide", [])
        rows[name] = row
    return {"compiler": compiler, "architectures": list(architectures), "kernels": rows}


def write_table(path: Path, table: dict) -> None:
    """One line per kernel."""
    rows = [f"    {json.dumps(n)}: {json.dumps(row)}" for n, row in table["kernels"].items()]
    kernels = "{\n" + ",\n".join(rows) + "\n  }" if rows else "{}"
    path.write_text(
        f'{{\n  "compiler": {json.dumps(table["compiler"])},\n'
        f'  "architectures": {json.dumps(table["architectures"])},\n  "kernels": {kernels}\n}}\n'
    )


def compiler_version() -> str:
    """Such as "13.0"."""
    command = [find_nvcc(), "--version"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    release = re.search(r"release ([\d.]+)", text)
    return release[1] if release else "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks or updates the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="*", type=Path, help="default: csrc/*/cuda/**/*.cu")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--architectures", type=int, nargs="+", default=ARCHITECTURES)
    parser.add_argument("--update", action="store_true", help="write the table anew")
    options = parser.parse_args(arguments)

    sources = options.sources or sorted((ROOT / "csrc").glob("*/cuda/**/*.cu"))
    compiler = compiler_version()
    table = {"compiler": compiler, "architectures": [], "kernels": {}}
    if options.table.exists():
        table = json.loads(options.table.read_text())
    kernels = compile_all(sources, options.architectures)
    if options.update:
        table = updated(kernels, table, options.architectures, compiler)
        write_table(options.table, table)
    found = complaints(kernels, table, compiler)
    print("\n".join(found), end="\n" if found else "")
    notes = [f"{len(kernels)} kernels, sm_{', '.join(map(str, options.architectures))}"]
    if table["compiler"] != compiler:
        notes.append(f"registers not compared: the table is of nvcc {table['compiler']}")
    if find_tool("cuobjdump") is None:
        notes.append("widths not checked: no cuobjdump")
    print(f"cuda budget: {len(found)} complaints; " + "; ".join(notes))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
