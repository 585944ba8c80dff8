from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_cuda.data.cityscapes import CityscapesDataset
from mtl_cuda.data.formats import decode_disparity
from mtl_cuda.data.io import read_image, read_png
from mtl_cuda.data.labels import CITYSCAPES_INFO
from mtl_cuda.data.synth import SynthConfig, SynthScene, generate_scene, write_dataset, writer
from mtl_cuda.data.synth.geometry import Face, Viewpoint
from mtl_cuda.data.synth.ground import FIRST_FACE, S_PAVEMENT, S_ROAD, S_SKY, Ground
from mtl_cuda.data.synth.light import Caster, Light, ShadowMap
from mtl_cuda.data.synth.raster import render
from mtl_cuda.data.synth.street import Street

SIZE = (96, 192)
SKY, CAR = (CITYSCAPES_INFO.class_names.index(name) for name in ("sky", "car"))


@pytest.fixture(scope="module", params=range(4))
def scene(request: pytest.FixtureRequest) -> SynthScene:
    return generate_scene(SIZE, (5, request.param))


def test_same_seed_same_scene() -> None:
    first, second, other = (generate_scene(SIZE, seed) for seed in (1, 1, 2))
    for name in ("left", "right", "semantic", "instance", "disparity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.camera == second.camera
    assert (first.left != other.left).any()


def test_shapes_and_types(scene: SynthScene) -> None:
    assert scene.left.shape == scene.right.shape == (*SIZE, 3)
    assert scene.left.dtype == scene.right.dtype == np.uint8
    for name, dtype in (("semantic", np.uint8), ("instance", np.int32), ("disparity", np.float32)):
        assert getattr(scene, name).shape == SIZE
        assert getattr(scene, name).dtype == dtype
    sample = scene.scene("a")
    metres = scene.camera.fx * scene.camera.baseline
    np.testing.assert_allclose(sample.inverse_depth * metres, scene.disparity, rtol=1e-6)


def _matches(scene: SynthScene) -> tuple[np.ndarray, ...]:
    """For left pixels whose match lies inside: place, and both neighbours of the match."""
    rows, columns = np.indices(SIZE).reshape(2, -1)
    place = columns - scene.disparity.ravel().astype(float)
    before = np.floor(place).astype(int)
    inside = (before >= 0) & (before + 1 < SIZE[1])
    return tuple(a[inside] for a in (rows, columns, before, place - before))


def test_disparity_leads_to_the_same_surface(scene: SynthScene) -> None:
    left, right = scene.pictures
    rows, columns, before, share = _matches(scene)
    surface, near = left.surface[rows, columns], left.inverse_depth[rows, columns]
    found = [right.surface[rows, before + k] for k in (0, 1)]
    depth = [right.inverse_depth[rows, before + k].astype(float) for k in (0, 1)]

    # Where both neighbours show the surface, inverse depth is linear between them: exact.
    both = (found[0] == surface) & (found[1] == surface)
    assert both.mean() > 0.8
    between = depth[0] + share * (depth[1] - depth[0])
    pixels = scene.camera.fx * scene.camera.baseline
    assert np.abs(between - near)[both].max() * pixels < 1e-4

    # Where none does, something nearer must hide it; what is left is thinner than a pixel.
    neither = (found[0] != surface) & (found[1] != surface)
    assert (neither & (np.maximum(*depth) <= near)).mean() < 0.01


def test_textures_belong_to_the_surfaces(scene: SynthScene) -> None:
    left, right = scene.pictures
    rows, columns, before, share = _matches(scene)
    surface = left.surface[rows, columns]
    inner = (right.surface[rows, before] == surface) & (right.surface[rows, before + 1] == surface)
    inner &= (surface != S_SKY) & (before + 3 < SIZE[1])
    rows, columns, before, share = (a[inner] for a in (rows, columns, before, share))
    true = left.colours[rows, columns]

    def error(shift: int) -> float:
        first, second = (right.colours[rows, before + shift + k] for k in (0, 1))
        return float(np.abs(first + share[:, None] * (second - first) - true).mean())

    assert error(0) < 0.35 * min(error(-1), error(2))


def test_a_face_is_drawn_where_it_lies() -> None:
    """Against rays met with the face's plane one by one, in both views."""
    rng, config = np.random.default_rng(0), SynthConfig(yaw=6)
    street, light = Street.sample(rng, config), Light.sample(rng, config)
    ground = Ground(rng, config, street, light)
    corners = np.array([[-1.0, 2.5, 9.0], [1.5, 2.5, 13.0], [-1.0, 0.3, 9.0]])
    across, down = corners[1] - corners[0], corners[2] - corners[0]
    face = Face(corners[0], across, down, np.full((8, 8, 4), 255, np.uint8), CAR)
    view = Viewpoint(np.array([0.2, 1.5, 0.0]), 0.1, 90.0, (50.0, 30.0), (60, 100))
    views = [view, view.shifted(0.5)]
    sky = np.zeros((121, 201, 3), np.float32)
    pictures = render([face], ground, ShadowMap(light).finish(), sky, light, views)
    for eye, picture in zip(views, pictures):
        there = picture.surface == FIRST_FACE
        assert there.sum() > 200
        for row, column in np.ndindex(there.shape):
            aim = [(column - 50) / 90, (row - 30) / 90, 1.0]
            ray = np.array(aim) @ eye.rotation  # a metre of depth along the ray
            u, v, depth = np.linalg.solve(
                np.stack([across, down, -ray], 1), eye.position - corners[0]
            )
            inside = min(u, v, 1 - u, 1 - v)
            if abs(inside) > 0.01:
                assert there[row, column] == (inside > 0)
            if there[row, column]:
                assert picture.inverse_depth[row, column] == pytest.approx(1 / depth, rel=1e-6)


def test_shadows_fall_away_from_the_sun() -> None:
    light = replace(Light.sample(np.random.default_rng(0), SynthConfig()), shadow=0.5)
    light = replace(light, sun=np.array([-0.6, 0.8, 0.0]))  # on the left: shadows to the right
    shadows = ShadowMap(light)
    square = np.array([[2.0, 20.0], [3.0, 20.0], [3.0, 21.0], [2.0, 21.0]])
    shadows.add([Caster(square, 0.0, 4.0)])
    x = np.array([[2.5, 4.5, 5.5, 7.5, 0.5, 99.0]], np.float32)
    found = ShadowMap.look_up(shadows.finish(), x, np.full_like(x, 20.5))[0]
    assert found[0] < 0.3  # below the object
    np.testing.assert_allclose(found[1:], [0.5, 0.5, 1, 1, 1], atol=0.02)
    assert shadows.at(4.5, 20.5) < 1 == shadows.at(0.5, 20.5)


def test_ground_lies_in_its_planes(scene: SynthScene) -> None:
    left = scene.pictures[0]
    height, centre = scene.camera.z, scene.camera.v0
    below = np.broadcast_to((np.arange(SIZE[0]) - centre)[:, None] / scene.camera.fx, SIZE)
    for surface, level in ((S_ROAD, 0.0), (S_PAVEMENT, 0.12)):
        there = left.surface == surface
        expected = below[there] / (height - level)
        np.testing.assert_allclose(left.inverse_depth[there], expected, rtol=1e-5)
    road = left.surface == S_ROAD
    assert road.mean() > 0.05
    farther = np.diff(left.inverse_depth, axis=0)[road[1:] & road[:-1]]
    assert (farther > 0).all()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(64, 128), (65, 97), (80, 80)]))
def test_labels_agree_with_each_other(seed: int, size: tuple[int, int]) -> None:
    config = SynthConfig(moving_cars=8, persons=10, min_instance_pixels=7)
    made = generate_scene(size, seed, config)
    numbers, counts = np.unique(made.instance, return_counts=True)
    assert numbers.tolist() == list(range(numbers[-1] + 1))
    assert (counts[1:] >= 7).all()
    for number in numbers[1:]:
        classes = np.unique(made.semantic[made.instance == number])
        assert len(classes) == 1
        assert classes[0] in CITYSCAPES_INFO.thing_classes
    np.testing.assert_array_equal(made.semantic == SKY, made.disparity == 0)
    assert np.isfinite(made.disparity).all()
    assert ((made.semantic < CITYSCAPES_INFO.num_classes) | (made.semantic == 255)).all()


def test_cars_stand_on_the_ground() -> None:
    """A car's lowest pixel shows about the ground's depth at that row: size fits perspective."""
    ratios = []
    for seed in range(6):
        made = generate_scene(SIZE, (11, seed), SynthConfig(persons=0, clutter=0, riders=0))
        for number in range(1, made.instance.max() + 1):
            rows, columns = np.nonzero(made.instance == number)
            lowest = rows.argmax()
            row, column = rows[lowest], columns[lowest]
            is_car = made.semantic[row, column] == CAR
            if is_car and row < SIZE[0] - 2 and made.pictures[0].surface[row + 1, column] == S_ROAD:
                ratios.append(made.disparity[row, column] / made.disparity[row + 1, column])
    assert len(ratios) > 10
    np.testing.assert_allclose(np.median(ratios), 1, atol=0.06)


def test_without_objects_there_are_no_instances() -> None:
    names = ("moving_cars", "parked", "large_vehicles", "persons", "riders", "parked_bikes")
    empty = generate_scene(SIZE, 3, SynthConfig(**dict.fromkeys(names, 0.0)))
    assert empty.instance.max() == 0
    assert not np.isin(empty.semantic, CITYSCAPES_INFO.thing_classes).any()


@pytest.mark.parametrize(
    ("field", "value"),
    [("focal", (0.1, 0.2)), ("yaw", 90.0), ("haze", (0.01, 0.0)), ("urban", 1.5),
     ("persons", -1.0), ("texture", float("nan"))],
)  # fmt: skip
def test_config_names_the_bad_knob(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        SynthConfig(**{field: value})  # type: ignore[arg-type]


def test_too_small_a_size() -> None:
    with pytest.raises(ValueError, match="size"):
        generate_scene((16, 64), 0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    calls: list[tuple[int, int]] = []
    out = tmp_path_factory.mktemp("synth") / "tree"
    root = write_dataset(out, 3, 2, (64, 128), 4, 1, lambda *call: calls.append(call))
    assert calls == [(done, 5) for done in range(1, 6)]
    return root


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_tree_is_complete_and_reads_as_cityscapes(dataset: Path) -> None:
    assert len(_files(dataset)) == 5 * 7 + 1
    samples = CityscapesDataset(dataset, "val", depth="metric")
    assert len(samples) == 2
    made = generate_scene((64, 128), (4, 1, 0))
    sample = samples.scene(0)
    np.testing.assert_array_equal(sample.image, made.left)
    np.testing.assert_array_equal(sample.semantic, made.semantic)
    np.testing.assert_array_equal(sample.instance > 0, made.instance > 0)
    assert sample.instance.max() == made.instance.max()

    name = "val/synth/synth_000000_000000"
    right = read_image(dataset / f"rightImg8bit/{name}_rightImg8bit.png")
    np.testing.assert_array_equal(right, made.right)
    exact = decode_disparity(read_png(dataset / f"disparity_gt/{name}_disparity.png"))
    np.testing.assert_allclose(exact, made.disparity, atol=1 / 512 + 1e-6)
    pseudo = decode_disparity(read_png(dataset / f"disparity/{name}_disparity.png"))
    ground = ~np.isnan(pseudo) & (made.semantic != SKY)
    assert ground.mean() > 0.6
    assert np.median(np.abs(pseudo - exact)[ground]) < 0.25
    labels = read_png(dataset / f"gtFine/{name}_gtFine_labelIds.png")
    instances = read_png(dataset / f"gtFine/{name}_gtFine_instanceIds.png")
    np.testing.assert_array_equal(np.where(instances < 1000, instances, instances // 1000), labels)


def test_metadata_says_how_to_make_it_again(dataset: Path) -> None:
    content = json.loads((dataset / "synth.json").read_text())
    assert (content["seed"], content["size"]) == (4, [64, 128])
    assert SynthConfig(**{k: tuple(v) if isinstance(v, list) else v
                          for k, v in content["config"].items()}) == SynthConfig()  # fmt: skip


def test_workers_and_number_of_scenes_change_no_byte(dataset: Path, tmp_path: Path) -> None:
    parallel = _files(write_dataset(tmp_path / "b", 4, 1, (64, 128), 4, 2))
    serial = _files(dataset)
    common = [name for name in parallel if name in serial and name != "synth.json"]
    assert len(common) == 4 * 7
    for name in common:
        assert parallel[name] == serial[name], name


def test_an_existing_folder_is_safe(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="no generated data set"):
            write_dataset(tmp_path, 1, 0, (64, 128), overwrite=overwrite)
    assert (tmp_path / "mine").read_text() == "precious"


def test_overwrite_replaces_a_generated_tree(tmp_path: Path) -> None:
    out = tmp_path / "tree"
    write_dataset(out, 2, 0, (64, 128))
    with pytest.raises(FileExistsError, match="overwrite"):
        write_dataset(out, 1, 0, (64, 128))
    write_dataset(out, 1, 0, (64, 128), overwrite=True)
    assert len(_files(out)) == 7 + 1
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    write = writer.write_scene

    def fail_later(job: tuple) -> None:
        if job[2] == 1:
            raise error
        write(job)

    monkeypatch.setattr(writer, "write_scene", fail_later)
    with pytest.raises(error):
        write_dataset(tmp_path / "tree", 3, 0, (64, 128))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "name"), [((-1, 2), "train"), ((1, -2), "val"), ((0, 0), "train")]
)
def test_counts_are_checked(tmp_path: Path, arguments: tuple[int, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        write_dataset(tmp_path / "tree", *arguments, (64, 128))
    assert list(tmp_path.iterdir()) == []
