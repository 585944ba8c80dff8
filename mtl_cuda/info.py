"""The environment report behind ``mtl-cuda info``: what is there, what is missing, the mend."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator

import torch

import mtl_cuda
from mtl_cuda import native

_PARTS = {
    "train": ("opencv-python", "jsonargparse", "tqdm", "safetensors"),
    "viz": ("matplotlib",),
    "eval": ("cityscapesscripts",),
}
_AS_GOOD = {"opencv-python": "opencv-python-headless"}


def report() -> str:
    """The report as text, one ``name: value`` a line, problems with their mend at the end."""
    lines = [*_versions(), *_native_library(), *_cuda(), *_packages()]
    problems = list(_problems())
    text = "\n".join(f"{name + ':':<18} {value}" for name, value in lines)
    if not problems:
        return f"{text}\n\nNothing is missing."
    return "\n".join([text, "", "Missing:", *(f"  - {problem}" for problem in problems)])


def _versions() -> Iterator[tuple[str, str]]:
    import numpy

    yield "mtl_cuda", f"{mtl_cuda.__version__} ({os.path.dirname(mtl_cuda.__file__)})"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    yield "torch", f"{torch.__version__}, built for CUDA {torch.version.cuda or '- (CPU only)'}"
    yield "numpy", numpy.__version__


def _native_library() -> Iterator[tuple[str, str]]:
    if native.missing_reason():
        yield "native library", f"not loaded: {native.missing_reason()}"
        return
    build = native.library().build_info()
    yield "native library", f"{build['build_type']} build by {build['compiler']}"
    cuda = f"CUDA {build['cuda']} for {build['cuda_architectures']}" if build["cuda"] else "none"
    yield "CUDA kernels", cuda
    yield "CPU kernels", f"{build['simd']} path, {torch.get_num_threads()} threads"


def _cuda() -> Iterator[tuple[str, str]]:
    if native.missing_reason():
        return
    cuda = native.library().cuda_info()
    driver = cuda["driver"]
    version = f"CUDA {driver // 1000}.{driver % 1000 // 10}" if driver else "none"
    yield "GPU driver", version + (f" ({cuda['fault']})" if cuda["fault"] else "")
    for index, device in enumerate(cuda["devices"]):
        capability = ".".join(map(str, device["capability"]))
        outcome = device["fault"] or "kernels run"
        yield f"GPU {index}", f"{device['name']}, compute capability {capability}: {outcome}"


def _installed(package: str) -> str | None:
    for name in (package, _AS_GOOD.get(package)):
        try:
            if name is not None:
                return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _packages() -> Iterator[tuple[str, str]]:
    for extra, packages in _PARTS.items():
        found = [_installed(package) or f"{package} -" for package in packages]
        yield f"extra '{extra}'", ", ".join(found)


def _problems() -> Iterator[str]:
    if native.missing_reason():
        yield "the native library: run `pip install .` in the source folder with a C++17 compiler"
    elif not native.library().build_info()["cuda"]:
        yield (
            "CUDA kernels (only needed for a GPU): install the CUDA toolkit, or set CUDACXX to its "
            "nvcc, and install mtl_cuda again"
        )
    elif torch.version.cuda is None:
        yield "a CUDA build of torch (only needed for a GPU): see pytorch.org/get-started"
    for extra, packages in _PARTS.items():
        absent = [package for package in packages if _installed(package) is None]
        if absent:
            yield (
                f"{', '.join(absent)} (extra '{extra}'): pip install '.[{extra}]' in the source "
                "folder"
            )
    try:
        from mtl_cuda.data.io import require_cv2

        if _installed("opencv-python"):
            require_cv2()
    except ImportError as error:
        yield str(error)
