"""The static budget of the CUDA kernels: what the tool reads, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests_native" / "samples" / "sample.cu"

# Indexes an array of its own by a value known at run time only: it cannot stay in registers.
LOCAL_ARRAY = """
__global__ void local_array(const int* x, int* y) {
  int own[32];
  for (int i = 0; i < 32; ++i) own[x[i] & 31] = i;
  y[threadIdx.x] = own[x[threadIdx.x] & 31];
}
"""


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cuda_budget", ROOT / "tools/cuda_budget.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


tool = load_tool()
needs_nvcc = pytest.mark.skipif(tool.find_tool("nvcc") is None, reason="no nvcc")


def table(**kernels: dict) -> dict:
    return {"compiler": "13.0", "architectures": [75, 80], "kernels": kernels}


def test_ptxas_report() -> None:
    report = """
ptxas info    : Compiling entry function '_Z1av' for 'sm_75'
ptxas info    : Function properties for _Z1av
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 34 registers, used 1 barriers, 32 bytes smem, 392 bytes cmem[0]
ptxas info    : Compiling entry function '_Z1bv' for 'sm_90a'
ptxas info    : Function properties for _Z1bv
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers
"""
    kernels = tool.parse_ptxas(report)
    assert kernels["_Z1av"] == tool.Kernel({75: 34}, local_bytes={75: 8})
    assert kernels["_Z1bv"] == tool.Kernel({90: 10}, local_bytes={90: 0})


def test_wide_accesses() -> None:
    sass = """
        Function : _Z1av
        /*01e0*/    LDG.E.EF.128.CONSTANT R8, [R18.64] ;
        /*0290*/    STG.E [R14.64], R8 ;
        Function : _Z1bv
        /*0290*/    @P0 STG.E.128 [R14.64], R8 ;
"""
    assert tool.parse_wide(sass) == {"_Z1av": {"LDG.128"}, "_Z1bv": {"STG.128"}}


@pytest.mark.parametrize(
    ("kernel", "budget", "complaint"),
    [
        (tool.Kernel({75: 33}), {"registers": [32, 32]}, "33 registers on sm_75"),
        (
            tool.Kernel({80: 32}, {80: 16}),
            {"registers": [32, 32]},
            "16 bytes of local memory on sm_80",
        ),
        (tool.Kernel({80: 32}), None, "not in the table"),
        (None, {"registers": [32, 32]}, "no longer compiled"),
        (tool.Kernel(wide={"LDG.128"}), {"registers": [], "wide": ["STG.128"]}, "no STG.128"),
    ],
)
def test_what_exceeds_the_table(kernel: object, budget: dict | None, complaint: str) -> None:
    kernels = {} if kernel is None else {"k": kernel}
    found = tool.complaints(kernels, table(**({} if budget is None else {"k": budget})), "13.0")
    assert len(found) == 1
    assert complaint in found[0]


def test_what_the_table_allows() -> None:
    kernel = tool.Kernel({75: 32, 80: 30}, {75: 0, 80: 16}, {"LDG.128"})
    budget = {"registers": [32, 32], "local_bytes": 16, "wide": ["LDG.128"]}
    assert tool.complaints({"k": kernel}, table(k=budget), "13.0") == []
    # Another compiler allocates registers in its own way; local memory stays forbidden.
    assert tool.complaints({"k": tool.Kernel({75: 40})}, table(k=budget), "12.9") == []
    assert tool.complaints({"k": tool.Kernel({75: 40}, {75: 20})}, table(k=budget), "12.9") != []


@needs_nvcc
def test_update_then_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "budget.json"
    options = [str(SAMPLE), "--table", str(path), "--architectures", "75", "80"]
    assert tool.main(options) == 1  # no table yet
    assert tool.main([*options, "--update"]) == 0
    assert tool.main(options) == 0
    content = json.loads(path.read_text())
    assert set(content["kernels"]) == {"sample::sum<128>", "sample::scale", "sample::histogram"}
    content["kernels"]["sample::scale"]["registers"] = [8, 8]
    path.write_text(json.dumps(content))
    capsys.readouterr()
    assert tool.main(options) == 1
    assert "sample::scale: " in capsys.readouterr().out


@needs_nvcc
def test_update_does_not_allow_local_memory(tmp_path: Path) -> None:
    source = tmp_path / "local.cu"
    source.write_text(LOCAL_ARRAY)
    options = [str(source), "--table", str(tmp_path / "budget.json"), "--architectures", "80"]
    assert tool.main([*options, "--update"]) == 1
    assert tool.main(options) == 1
