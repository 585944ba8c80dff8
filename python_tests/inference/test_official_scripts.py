"""The official evaluation of Cityscapes reads our files and finds our numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from perturbed import as_batch, perturb

from mtl_cuda.data import CITYSCAPES_INFO, CityscapesDataset, Scene, read_png, write_png
from mtl_cuda.data.synth import write_dataset
from mtl_cuda.inference.cityscapes_results import ResultWriter
from mtl_cuda.metrics import SceneMetrics

pytest.importorskip(
    "cityscapesscripts.helpers.csHelpers",
    reason='the official scripts are missing: pip install "mtl_cuda[eval]"',
)

pytestmark = pytest.mark.skipif(
    tuple(map(int, np.__version__.split(".")[:2])) >= (2, 3),
    reason="the official scripts fail with numpy 2.3 and later",
)

NAMES = CITYSCAPES_INFO.class_names
THINGS = [NAMES[c] for c in CITYSCAPES_INFO.thing_classes]
CARAVAN = 29  # the id of a class that is not evaluated
CAR = NAMES.index("car")
SIZE = (192, 384)

INSTANCE_SCRIPT = """
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as script
script.args.gtInstancesFile = "gtInstances.json"  # by default it lies among the installed files
script.main()
"""


def run_official(folder: Path, results: Path | None, *command: str) -> None:
    """Run a script as its users do, with `folder` / tree as the data set."""
    environment = {**os.environ, "CITYSCAPES_DATASET": str(folder / "tree")}
    if results is not None:
        environment["CITYSCAPES_RESULTS"] = str(results)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR" not in done.stdout


def official_scores(folder: Path) -> dict[str, Any]:
    """What the three scripts write about `folder` / results."""
    results, evaluation = folder / "results", "cityscapesscripts.evaluation."
    run_official(folder, results / "pixel", "-m", evaluation + "evalPixelLevelSemanticLabeling")
    run_official(folder, results / "instance", "-c", INSTANCE_SCRIPT)
    truth = str(folder / "tree" / "gtFine")
    preparation = ["-m", "cityscapesscripts.preparation.createPanopticImgs", "--set-names", "val"]
    run_official(folder, None, *preparation, "--dataset-folder", truth)
    run_official(folder, results / "panoptic", "-m", evaluation + "evalPanopticSemanticLabeling")
    written = folder / "tree" / "evaluationResults"
    files = {
        "pixel": written / "resultPixelLevelSemanticLabeling.json",
        "instance": written / "resultInstanceLevelSemanticLabeling.json",
        "panoptic": folder / "resultPanopticSemanticLabeling.json",
    }
    return {name: json.loads(file.read_text()) for name, file in files.items()}


def mark_regions(root: Path) -> None:
    """Give the true labels of each scene groups, void, and regions of no evaluated class."""
    for seed, path in enumerate(sorted(root.glob("gtFine/val/*/*_instanceIds.png"))):
        ids = read_png(path).astype(np.uint16)
        generator = np.random.default_rng(seed)
        instances = np.unique(ids[ids >= 1000])
        for number in generator.permutation(instances)[: len(instances) // 3].tolist():
            ids[ids == number] = number // 1000
        for value in (0, 4, CARAVAN):
            top, left = (int(generator.integers(0, side - 60)) for side in SIZE)
            ids[top : top + 30, left : left + 60] = value
        write_labels(path, ids)


def write_labels(path: Path, ids: npt.NDArray[np.uint16]) -> None:
    """Write an instanceIds file and the labelIds that go with it."""
    write_png(path, ids)
    labels = np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)
    write_png(path.with_name(path.name.replace("instanceIds", "labelIds")), labels)


def target_of(scene: Scene) -> dict[str, torch.Tensor]:
    return {
        "semantic": torch.from_numpy(scene.semantic)[None],
        "instance": torch.from_numpy(scene.instance)[None],
    }


def evaluate_and_write(folder: Path, predict: Callable[[Scene, int], Any]) -> dict[str, float]:
    """Predict the scenes of `folder` / tree, write the results, and return our own numbers."""
    source = CityscapesDataset(folder / "tree", "val", depth=None)
    metrics = SceneMetrics(CITYSCAPES_INFO, ["semantic"], segments=True)
    with ResultWriter(folder / "results", "val", CITYSCAPES_INFO) as writer:
        for index in range(len(source)):
            scene = source.scene(index)
            prediction = predict(scene, index)
            metrics.update(prediction, target_of(scene))
            writer.write(scene.name, prediction)
    return metrics.compute()


def test_scores_are_the_official_ones(tmp_path: Path) -> None:
    write_dataset(tmp_path / "tree", 0, 12, SIZE, seed=5)
    mark_regions(tmp_path / "tree")

    def predict(scene: Scene, index: int) -> Any:
        if index == 3:  # an image in which no instance is found
            return as_batch(scene.semantic % 255, np.zeros(SIZE, np.int32), [], np.zeros(0))
        return perturb(scene, index)

    ours = evaluate_and_write(tmp_path, predict)
    official = official_scores(tmp_path)
    pixel, averages = official["pixel"], official["instance"]["averages"]
    panoptic = official["panoptic"]
    expected = {
        "semantic/miou": pixel["averageScoreClasses"],
        **{f"semantic/iou/{name}": pixel["classScores"][name] for name in NAMES},
        "instances/ap": averages["allAp"],
        "instances/ap50": averages["allAp50%"],
        **{f"instances/ap/{name}": averages["classes"][name]["ap"] for name in THINGS},
        **{f"instances/ap50/{name}": averages["classes"][name]["ap50%"] for name in THINGS},
    }
    for short in ("pq", "sq", "rq"):
        for group, suffix in (("All", ""), ("Things", "_things"), ("Stuff", "_stuff")):
            expected[f"panoptic/{short}{suffix}"] = panoptic[group][short]
        for name, label in zip(NAMES, CITYSCAPES_INFO.label_ids):
            expected[f"panoptic/{short}/{name}"] = panoptic["per_class"][str(label)][short]
    del ours["semantic/pixel_accuracy"]
    # The official PQ of a class that does not occur is 0, but counts to no mean either.
    ours = {key: 0.0 if np.isnan(v) and "panoptic" in key else v for key, v in ours.items()}
    assert ours == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert sum(not np.isnan(ours[f"instances/ap/{name}"]) for name in THINGS) >= 4
    assert 0.05 < ours["instances/ap"] < 0.95
    assert 0.05 < ours["panoptic/pq_things"] < 0.95


def test_the_one_difference_in_ap(tmp_path: Path) -> None:
    """Instances of a class that is not evaluated are void to us, and background to the script."""
    write_dataset(tmp_path / "tree", 0, 1, SIZE, seed=5)
    (path,) = (tmp_path / "tree").glob("gtFine/val/*/*_instanceIds.png")
    ids = read_png(path).astype(np.uint16)
    block = np.zeros(SIZE, bool)
    block[:20, :20] = True
    ids[block] = CARAVAN * 1000
    write_labels(path, ids)

    def predict(scene: Scene, index: int) -> Any:
        found = [n for n in np.unique(scene.instance).tolist() if n > 0]
        kinds = [int(scene.semantic[scene.instance == n][0]) for n in found]
        marks = np.where(block, len(found) + 1, scene.instance).astype(np.int32)
        scores = np.array([0.5] * len(found) + [0.9])
        return as_batch(scene.semantic % 255, marks, [*kinds, CAR], scores)

    assert evaluate_and_write(tmp_path, predict)["instances/ap/car"] == 1
    official = official_scores(tmp_path)
    assert official["instance"]["averages"]["classes"]["car"]["ap"] < 0.99
    assert official["panoptic"]["per_class"]["26"]["pq"] == 1  # void here too
