"""The environment report, with and without the native library."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mtl_cuda
from mtl_cuda import info, native


def test_names_what_matters() -> None:
    text = info.report()
    for expected in (mtl_cuda.__version__, "torch", "native library", "CPU kernels", "threads"):
        assert expected in text


def test_without_the_native_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_library", None)
    monkeypatch.setattr(native, "_reason", "no such file")
    assert "not loaded: no such file" in info.report()
    assert "pip install ." in info.report()
    with pytest.raises(ImportError, match="is not loaded"):
        native.library()


def test_import_never_fails_and_use_says_what_to_do() -> None:
    """A package without its library: imports, computes references, refuses ops clearly."""
    program = """
import sys
sys.modules["mtl_cuda._native"] = None
import torch, mtl_cuda
tasks = {"depth": mtl_cuda.L1Task()}
arguments = ({"depth": torch.zeros(1, 1, 2, 2)}, {"depth": torch.zeros(1, 2, 2)}, tasks)
print(mtl_cuda.reference.multi_task_loss(*arguments, torch.zeros(1)).total.item())
mtl_cuda.functional.multi_task_loss(*arguments, torch.zeros(1))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "0.0"
    assert "native library is not loaded" in done.stderr.splitlines()[-1]
