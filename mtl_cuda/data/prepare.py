"""A data set resized once and for all, in the layout of its source.

The files are ordinary ones: images and label maps as PNG, resampled exactly as
`mtl_cuda.data.transforms.resize` does, so that a scene read from them is, bit for bit, the scene
that is read from the source and resized.

Disparities keep the values of their files: scaled to pixels of the smaller image they would be
rounded to the 1/256 pixel that a file can hold. The camera files make up for that. Focal lengths
and the principal point are those of the resized image, and the baseline is divided by the ratio of
the widths: the tree is that of a stereo rig with another baseline, and 1/Z = d / (fx B) stays.
Asked for disparities in pixels, `CityscapesDataset` multiplies by that ratio.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtl_cuda.data import layout
from mtl_cuda.data.camvid import find_camvid
from mtl_cuda.data.formats import Camera, read_camera, write_camera
from mtl_cuda.data.io import read_image, read_png, write_png
from mtl_cuda.data.parallel import map_jobs
from mtl_cuda.data.prepared import Prepared, read_marker, write_marker
from mtl_cuda.data.source import check_same_size, no_images_error
from mtl_cuda.data.transforms import Size, resize_image, resize_map

Pair = tuple[Path, Path]
"""A file of the source, and what becomes of it."""


@dataclass(frozen=True)
class _Job:
    """The files of one sample."""

    image: Pair
    maps: tuple[Pair, ...]
    cameras: tuple[Pair, ...]
    source_size: Size
    size: Size


def prepare_dataset(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    size: Size,
    splits: Sequence[str] | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Resize a Cityscapes or CamVid tree.

    OUT appears when everything is written. Until then the files are in `.OUT.partial` beside it;
    the same call goes on where an interrupted one stopped. Right images and polygons are left out.

    Args:
        root: of the source; a folder leftImg8bit marks the layout of Cityscapes.
        out: folder to make; it may exist if it is empty.
        size: height and width of the images to write.
        splits: names of the splits; None takes all.
        workers: processes, see `map_jobs`.
        progress: called as progress(done, total) after each sample.

    Returns:
        What OUT/prepared.json says.

    Raises:
        FileExistsError: `out` holds something, or another preparation was left unfinished.
        FileNotFoundError: there is no image in one of the splits.
        ValueError: `size` is not positive; a file is damaged; the images are not of one size.
    """
    root, out = Path(root).resolve(), Path(out).resolve()
    if min(size) < 1:
        raise ValueError(f"size: expected a positive height and width, got {size}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists; choose another folder, or remove it")
    is_cityscapes = (root / layout.IMAGE.folder).is_dir()
    find = _cityscapes_samples if is_cityscapes else _camvid_samples
    found = {split: find(root, split) for split in splits or _all_splits(root, is_cityscapes)}
    samples = [sample for part in found.values() for sample in part]
    height, width, _ = read_image(samples[0].image).shape
    prepared = Prepared(
        str(root),
        "cityscapes" if is_cityscapes else "camvid",
        (height, width),
        size,
        {split: len(part) for split, part in found.items()},
    )
    partial = _begin(out, prepared)
    jobs = [sample.job(root, partial, prepared) for sample in samples]
    todo = [job for job in jobs if not job.image[1].exists()]
    done = len(jobs) - len(todo)
    for _ in map_jobs(_do, todo, workers):
        done += 1
        if progress is not None:
            progress(done, len(jobs))
    partial.rename(out)
    return prepared


@dataclass(frozen=True)
class _Sample:
    """The files of one sample of the source."""

    image: Path
    maps: tuple[Path, ...] = ()
    cameras: tuple[Path, ...] = ()

    def job(self, root: Path, out: Path, prepared: Prepared) -> _Job:
        def pairs(files: Sequence[Path]) -> tuple[Pair, ...]:
            return tuple((file, out / file.relative_to(root)) for file in files)

        image = (self.image, (out / self.image.relative_to(root)).with_suffix(".png"))
        maps, cameras = pairs(self.maps), pairs(self.cameras)
        return _Job(image, maps, cameras, prepared.source_size, prepared.size)


def _all_splits(root: Path, is_cityscapes: bool) -> list[str]:
    names = _folders(root / layout.IMAGE.folder if is_cityscapes else root)
    names = [name for name in names if is_cityscapes or find_camvid(root, name)]
    names = [name for name in names if is_cityscapes or not name.endswith("annot")]
    if not names:
        raise no_images_error(root / layout.IMAGE.folder / "SPLIT", root)
    return names


def _folders(inside: Path, pattern: str = "*") -> list[str]:
    """Names of the folders there, sorted; the pattern "*/" finds files too in Python 3.10."""
    return sorted(path.name for path in inside.glob(pattern) if path.is_dir())


def _cityscapes_samples(root: Path, split: str) -> list[_Sample]:
    images = layout.find_part(root, layout.IMAGE, split)
    if not images:
        wanted = layout.part_path(root, layout.IMAGE, split, "*", "*")
        raise no_images_error(wanted, root / layout.IMAGE.folder)
    parts = [layout.LABEL_IDS, layout.INSTANCE_IDS]
    parts += [layout.disparity_part(name) for name in _folders(root, "disparity*")]
    maps = [layout.find_part(root, part, split) for part in parts]
    cameras = layout.find_part(root, layout.CAMERA, split)
    return [
        _Sample(
            image,
            tuple(files[key] for files in maps if key in files),
            (cameras[key],) if key in cameras else (),
        )
        for key, image in sorted(images.items())
    ]


def _camvid_samples(root: Path, split: str) -> list[_Sample]:
    files = find_camvid(root, split)
    if not files:
        raise no_images_error(root / split / "*.png (or .jpg)", root)
    return [_Sample(image, () if labels is None else (labels,)) for image, labels in files]


def _begin(out: Path, prepared: Prepared) -> Path:
    """The folder that is worked in; that of the same preparation, if it was interrupted."""
    partial = out.with_name(f".{out.name}.partial")
    if partial.exists() and read_marker(partial) not in (None, prepared):
        raise FileExistsError(
            f"{partial} holds another preparation that was not finished: finish it with the same "
            "arguments, or remove the folder"
        )
    partial.mkdir(parents=True, exist_ok=True)
    write_marker(partial, prepared)
    return partial


def _do(job: _Job) -> None:
    """Write the files of one sample; the image last, which says that the others are there."""
    path, target = job.image
    image = read_image(path)
    if image.shape[:2] != job.source_size:
        raise ValueError(
            f"{path} is {image.shape[1]} x {image.shape[0]} pixels, the first image "
            f"{job.source_size[1]} x {job.source_size[0]}; all must be of one size"
        )
    for source, to in job.maps:
        array = read_png(source)
        check_same_size(path, image, source, array)
        to.parent.mkdir(parents=True, exist_ok=True)
        write_png(to, resize_map(array, job.size))
    for source, to in job.cameras:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_camera(to, _resized(read_camera(source), job))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_png(target, resize_image(image, job.size))


def _resized(camera: Camera, job: _Job) -> Camera:
    """The camera of the resized image, with the baseline that its disparities belong to."""
    down, across = (new / old for new, old in zip(job.size, job.source_size))
    return replace(
        camera,
        fx=camera.fx * across,
        fy=camera.fy * down,
        u0=(camera.u0 + 0.5) * across - 0.5,  # pixel centres at half-integers
        v0=(camera.v0 + 0.5) * down - 0.5,
        baseline=camera.baseline / across,
    )
