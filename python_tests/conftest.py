"""Shared by all tests: the gpu marker, hypothesis settings, the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

pytest_plugins = ["tiny_runs"]
settings.register_profile("default", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available() or "MTL_CUDA_TEST_DEVICE" in os.environ:
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def children_import_the_same_package(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Programs that tests start: from the source folder they would import that one instead."""
    import mtl_cuda

    package = str(Path(mtl_cuda.__file__).parents[1])
    paths = [package, str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.chdir(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder beside the checkout with real pictures (or MTL_CUDA_TEST_DATA)."""
    beside = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("MTL_CUDA_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set MTL_CUDA_TEST_DATA to its folder")
    return folder
