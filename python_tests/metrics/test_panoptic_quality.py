from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segment_scenes import NAMES, STUFF, THINGS, SegmentScene, random_scene

from mtl_cuda.clustering.panoptic import PanopticSegments, merge_panoptic
from mtl_cuda.metrics import PanopticQuality

ROAD, SKY, CAR, PERSON = range(4)


def segments(scene: SegmentScene, seed: int = 0) -> PanopticSegments:
    """The predicted instances of a scene among predicted stuff that is wrong here and there."""
    generator = np.random.default_rng(seed)
    stuff = np.where(np.isin(scene.semantic, STUFF), scene.semantic, ROAD)
    stuff[generator.random(stuff.shape) < 0.3] = generator.choice([ROAD, SKY, CAR, 255])
    semantic = torch.from_numpy(stuff)[None]
    return merge_panoptic(semantic, scene.clusters(), THINGS, min_stuff_pixels=5)


def results(*pairs: tuple[PanopticSegments, SegmentScene]) -> dict[str, float]:
    metric = PanopticQuality(NAMES, THINGS)
    for prediction, scene in pairs:
        metric.update(prediction, scene.target())
    return metric.compute()


def row(true: list[tuple[int, int]], predicted: list[int], kinds: list[int]) -> dict[str, float]:
    """PQ of one row of pixels: (class, instance) of each, predicted segment of each."""
    semantic, instance = (torch.tensor([[column]]) for column in zip(*true))
    prediction = PanopticSegments(torch.tensor([[predicted]]), [torch.tensor(kinds)])
    metric = PanopticQuality(NAMES, THINGS)
    metric.update(prediction, {"semantic": semantic, "instance": instance})
    return metric.compute()


def test_worked_example() -> None:
    true = [(ROAD, 0)] * 3 + [(CAR, 1)] * 3 + [(CAR, 2)] * 2 + [(SKY, 0)] * 2
    found = row(true, [1, 1, 1, 2, 2, 0, 3, 3, 3, 3], [ROAD, CAR, CAR])
    # road: a match of IoU 1. cars: one of IoU 2/3, one false (IoU exactly 1/2), one missed.
    # sky: missed.
    assert found["pq/road"] == 1
    assert found["sq/car"] == pytest.approx(2 / 3)
    assert found["rq/car"] == pytest.approx(1 / 2)
    assert found["pq/car"] == pytest.approx(1 / 3)
    assert found["pq/sky"] == found["sq/sky"] == 0
    assert math.isnan(found["pq/person"])
    assert found["pq"] == pytest.approx((1 + 1 / 3) / 3)
    assert found["pq_things"] == pytest.approx(1 / 3)
    assert found["pq_stuff"] == pytest.approx(1 / 2)
    assert found["rq"] == pytest.approx((1 + 1 / 2) / 3)


def test_void_is_left_out_of_the_union() -> None:
    true = [(CAR, 1)] * 2 + [(255, 0)] * 3
    assert row(true, [1, 1, 1, 1, 1], [CAR])["pq/car"] == 1


@pytest.mark.parametrize(("on_void", "counts"), [(2, True), (3, False)])
def test_a_prediction_mostly_on_void_is_no_mistake(on_void: int, counts: bool) -> None:
    true = [(255, 0)] * 4 + [(ROAD, 0)] * 4
    inside = [1] * on_void + [0] * (4 - on_void) + [1] * 2 + [2] * 2
    assert math.isnan(row(true, inside, [CAR, ROAD])["pq/car"]) is not counts


def test_groups_are_never_missed_and_excuse_their_own_class() -> None:
    true = [(CAR, 0)] * 4 + [(ROAD, 0)] * 4
    assert math.isnan(row(true, [0] * 4 + [1] * 4, [ROAD])["pq/car"])
    assert math.isnan(row(true, [1] * 4 + [2] * 4, [CAR, ROAD])["pq/car"])
    assert row(true, [1] * 4 + [2] * 4, [PERSON, ROAD])["pq/person"] == 0
    assert row([(CAR, 1)] * 4 + [(ROAD, 0)] * 4, [0] * 4 + [1] * 4, [ROAD])["pq/car"] == 0


def pq_by_masks(pairs: list[tuple[PanopticSegments, SegmentScene]], kind: int) -> list[float]:
    """Sum of IoU, matches, false and missed of a class, one mask at a time."""
    total, matches, false, missed = 0.0, 0, 0, 0
    for prediction, scene in pairs:
        ids, void = prediction.ids[0].numpy(), scene.semantic == 255
        same = scene.semantic == kind
        numbers = np.unique(scene.instance[same])
        group = same & (scene.instance == 0) & (kind in THINGS)
        true = [same & (scene.instance == n) for n in numbers if n > 0 or kind in STUFF]
        shapes = [
            ids == number
            for number, label in enumerate(prediction.classes[0].tolist(), start=1)
            if label == kind and (ids == number).any()
        ]
        found = set()
        for shape in shapes:
            visible = shape & ~void
            ious = [(visible & mask).sum() / (visible | mask).sum() for mask in true]
            best = max(ious, default=0.0)
            if best > 0.5:
                total, matches = total + best, matches + 1
                found.add(ious.index(best))
            elif (shape & (void | group)).sum() / shape.sum() <= 0.5:
                false += 1
        missed += len(true) - len(found)
    return [total, matches, false, missed]


@given(st.integers(0, 10**6))
def test_agrees_with_masks(seed: int) -> None:
    scenes = [random_scene(4 * seed + i) for i in range(4)]
    pairs = [(segments(scene, seed + i), scene) for i, scene in enumerate(scenes)]
    metric = PanopticQuality(NAMES, THINGS)
    for prediction, scene in pairs:
        metric.update(prediction, scene.target())
    expected = [pq_by_masks(pairs, kind) for kind in range(len(NAMES))]
    np.testing.assert_allclose(metric.state().numpy(), expected, rtol=1e-12)


def test_batches_and_states_add_up() -> None:
    scenes = [random_scene(seed) for seed in range(6)]
    one, *parts = (PanopticQuality(NAMES, THINGS) for _ in range(3))
    for place, scene in enumerate(scenes):
        one.update(segments(scene), scene.target())
        parts[place % 2].update(segments(scene), scene.target())
    merged = PanopticQuality(NAMES, THINGS)
    merged.load_state(parts[0].state() + parts[1].state())
    assert merged.compute() == pytest.approx(one.compute(), nan_ok=True)


def test_nothing_seen_gives_nan() -> None:
    assert all(math.isnan(value) for value in PanopticQuality(NAMES, THINGS).compute().values())


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="class_names"):
        PanopticQuality([], [])
    with pytest.raises(ValueError, match=r"thing_classes: .*\[4\]"):
        PanopticQuality(NAMES, (4,))
    with pytest.raises(ValueError, match=r"prediction: expected classes 0\.\.3, got \[9\]"):
        row([(ROAD, 0)], [1], [9])
    with pytest.raises(ValueError, match=r"target: expected classes 0\.\.3, got \[7\]"):
        row([(7, 0)], [1], [ROAD])
    with pytest.raises(ValueError, match=r"target instance: .*got -1"):
        row([(CAR, -1)], [1], [ROAD])
