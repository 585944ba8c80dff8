"""Importing the package is cheap, and leaves torch's environment to whoever imports it."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_package_does_not_load_torch() -> None:
    code = "import sys, mtl_cuda, mtl_cuda.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_public_names_are_there() -> None:
    import mtl_cuda

    assert all(getattr(mtl_cuda, name) is not None for name in mtl_cuda.__all__)
    assert set(mtl_cuda.__all__) <= set(dir(mtl_cuda))
    assert not hasattr(mtl_cuda, "no_such_name")
