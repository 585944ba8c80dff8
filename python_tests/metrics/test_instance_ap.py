from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_scenes import NAMES, STUFF, THINGS, SegmentScene, batch, random_scene

from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.metrics import InstanceAP

CAR, PERSON = THINGS
LEAST = 20


def scene_of(true: str, predicted: str, scores: list[float], kinds: str = "") -> SegmentScene:
    """One row of pixels: digits are instances of cars, g a group, v void, . road."""
    semantic = [{"g": CAR, "v": 255, ".": 0}.get(mark, CAR) for mark in true]
    instance = [int(mark) if mark.isdigit() else 0 for mark in true]
    ids = [int(mark) if mark.isdigit() else 0 for mark in predicted]
    classes = [CAR if mark == "c" else PERSON for mark in kinds or "c" * len(scores)]
    return SegmentScene(
        np.array([semantic], np.uint8),
        np.array([instance], np.int32),
        np.array([ids], np.int32),
        np.array(classes, np.int64),
        np.array(scores),
    )


def results(*scenes: SegmentScene, min_region: int = 1) -> dict[str, float]:
    metric = InstanceAP(NAMES, THINGS, min_region)
    for scene in scenes:
        metric.update(scene.clusters(), scene.target())
    return metric.compute()


def test_perfect_and_absent() -> None:
    found = results(scene_of("11..22", "11..22", [0.9, 0.3]))
    assert found["ap"] == found["ap50"] == found["ap/car"] == found["ap50/car"] == 1
    assert math.isnan(found["ap/person"])
    assert math.isnan(results(scene_of("....", "11..", [0.9]))["ap"])
    assert results(scene_of("11..", "....", []))["ap"] == 0


def test_iou_must_exceed_the_threshold() -> None:
    half = results(scene_of("1111....", "11......", [1.0]))  # IoU 0.5 exactly
    assert half["ap50"] == 0
    four_fifths = results(scene_of("11111...", "1111....", [1.0]))  # above 0.50 ... 0.75
    assert four_fifths["ap"] == pytest.approx(0.6)


def test_area_under_the_curve() -> None:
    # Best first: found, false, found; of three instances one is missed. Points (recall,
    # precision): (0, 1), (1/3, 1), (1/3, 1/2), (2/3, 2/3).
    found = results(scene_of("11..22..33", "1122.....3", [0.9, 0.8, 0.1]))
    assert found["ap50"] == pytest.approx(1 / 3 + 0)  # 3 covers half of an instance only: false
    found = results(scene_of("11..22..33", "112233....", [0.9, 0.8, 0.1]))
    assert found["ap50"] == pytest.approx(1 / 3 + (1 / 2 + 2 / 3) / 2 / 3)


def test_ties_make_one_point() -> None:
    found = results(scene_of("11......22", "11..33..22", [0.5, 0.5, 0.5]))
    assert found["ap50"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_better_score_of_what_is_false_costs() -> None:
    good = results(scene_of("11....", "11..22", [0.9, 0.1]))["ap"]
    bad = results(scene_of("11....", "11..22", [0.1, 0.9]))["ap"]
    assert good == 1
    assert bad == pytest.approx(0.25)


@pytest.mark.parametrize("region", ["v", "g"])
def test_predictions_on_void_and_groups_are_left_out(region: str) -> None:
    true = f"11..{region * 4}"
    assert results(scene_of(true, "11..22..", [0.1, 0.9]))["ap"] == 1
    partly = results(scene_of(true, "11.222..", [0.1, 0.9]))  # 2/3 of it
    assert partly["ap50"] == 1
    assert partly["ap"] == pytest.approx((4 + 6 * 0.25) / 10)


def test_groups_of_another_class_are_no_excuse() -> None:
    assert results(scene_of("11gg", "11..", [0.9]))["ap"] == 1
    found = results(scene_of("11..gggg", "11..2222", [0.1, 0.9], "cp"))
    assert found["ap/car"] == 1  # the false person is no car
    true = SegmentScene(
        np.array([[PERSON, PERSON, 0, CAR, CAR]], np.uint8),
        np.array([[1, 1, 0, 0, 0]], np.int32),
        np.array([[1, 1, 0, 2, 2]], np.int32),
        np.array([PERSON, PERSON]),
        np.array([0.1, 0.9]),
    )
    assert results(true)["ap/person"] == pytest.approx(0.25)


def test_small_instances_are_neither_sought_nor_false() -> None:
    scene = scene_of("1111.22", "1111.22", [0.1, 0.9])
    assert results(scene, min_region=3)["ap"] == 1
    missed = scene_of("1111.22", "1111...", [0.1])
    assert results(missed, min_region=3)["ap"] == 1
    assert results(missed, min_region=2)["ap"] == pytest.approx(0.5)


@dataclass
class Example:
    score: float
    true: bool


def ap_by_masks(scenes: list[SegmentScene], kind: int, threshold: float) -> float:
    """The rules one mask at a time, without tables or histograms."""
    examples: list[Example] = []
    sought = 0
    for scene in scenes:
        same = scene.semantic == kind
        numbers = [n for n in np.unique(scene.instance[same]) if n > 0]
        masks = [same & (scene.instance == n) for n in numbers]
        group = same & (scene.instance == 0)
        large = [mask for mask in masks if mask.sum() >= LEAST]
        others = [mask for mask in masks if mask.sum() < LEAST]
        if group.any():
            others += [group] * (2 if group.sum() < LEAST else 1)
        sought += len(large)
        for number, (label, score) in enumerate(zip(scene.classes, scene.scores), start=1):
            shape = scene.ids == number
            if label != kind or not shape.any():
                continue

            def iou(mask: np.ndarray, shape: np.ndarray = shape) -> float:
                return (mask & shape).sum() / (mask | shape).sum()

            if any(iou(mask) > threshold for mask in large):
                examples.append(Example(score, True))
            elif not any(iou(mask) > threshold for mask in others):
                ignored = sum((mask & shape).sum() for mask in [*others, scene.semantic == 255])
                if ignored / shape.sum() <= threshold:
                    examples.append(Example(score, False))
    if sought == 0:
        return math.nan
    area, last = 0.0, (0.0, 1.0)
    for score in sorted({example.score for example in examples}, reverse=True):
        kept = [example for example in examples if example.score >= score]
        hits = sum(example.true for example in kept)
        point = (hits / sought, hits / len(kept))
        area += (point[0] - last[0]) * (point[1] + last[1]) / 2
        last = point
    return area


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_agrees_with_masks(seed: int) -> None:
    scenes = [random_scene(4 * seed + i) for i in range(4)]
    found = results(*scenes, min_region=LEAST)
    thresholds = np.arange(0.5, 1.0, 0.05)
    for kind in THINGS:
        expected = [ap_by_masks(scenes, kind, threshold) for threshold in thresholds]
        name = NAMES[kind]
        assert found[f"ap50/{name}"] == pytest.approx(expected[0], nan_ok=True)
        assert found[f"ap/{name}"] == pytest.approx(np.mean(expected), nan_ok=True)


def test_batches_and_states_add_up() -> None:
    scenes = [random_scene(seed) for seed in range(8)]
    one, whole, *parts = (InstanceAP(NAMES, THINGS, LEAST) for _ in range(4))
    whole.update(*batch(scenes))
    for place, scene in enumerate(scenes):
        one.update(scene.clusters(), scene.target())
        parts[place % 2].update(scene.clusters(), scene.target())
    merged = InstanceAP(NAMES, THINGS, LEAST)
    merged.load_state(parts[0].state() + parts[1].state())
    assert whole.compute() == one.compute() == merged.compute()
    merged.reset()
    assert math.isnan(merged.compute()["ap"])


def test_classes_that_are_no_things_are_left_alone() -> None:
    scene = random_scene(3)
    found = results(scene, min_region=LEAST)
    stuff = scene._replace(
        ids=np.where(scene.ids == 0, len(scene.classes) + 1, scene.ids).astype(np.int32),
        classes=np.append(scene.classes, STUFF[0]),
        scores=np.append(scene.scores, 1.0),
    )
    assert results(stuff, min_region=LEAST) == pytest.approx(found, nan_ok=True)


def test_bad_input() -> None:
    metric = InstanceAP(NAMES, THINGS)
    scene = scene_of("11..", "11..", [0.5])
    good, target = scene.clusters(), scene.target()
    for changed, message in (
        ({"scores": [torch.tensor([1.5])]}, r"scores: .*1\.5"),
        ({"scores": [torch.tensor([math.nan])]}, "scores: .*nan"),
        ({"ids": good.ids + 1}, r"ids: expected 0\.\.1, got 2"),
        ({"ids": good.ids[:, :, :2]}, r"semantic: .*\[1, 1, 2\].*\[1, 1, 4\]"),
        ({"ids": good.ids[0]}, "ids: "),
    ):
        with pytest.raises(ValueError, match=message):
            metric.update(good._replace(**changed), target)
    with pytest.raises(TypeError, match=r"instance: .*float"):
        metric.update(good, {**target, "instance": target["instance"].float()})
    with pytest.raises(KeyError, match="instance"):
        metric.update(good, {"semantic": target["semantic"]})
    assert metric.state().sum() == 0
    for things in ((), (4,), (-1,)):
        with pytest.raises(ValueError, match="thing_classes"):
            InstanceAP(NAMES, things)


def test_an_empty_batch_changes_nothing() -> None:
    metric = InstanceAP(NAMES, THINGS)
    maps = torch.zeros(0, 4, 4, dtype=torch.int32)
    metric.update(InstanceClusters(maps, [], [], [], []), {"semantic": maps, "instance": maps})
    assert metric.state().sum() == 0
