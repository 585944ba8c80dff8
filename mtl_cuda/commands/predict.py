"""`mtl-cuda predict`: what a trained network sees in images and videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mtl_cuda.data import read_image
from mtl_cuda.data.video import VideoReader, VideoWriter
from mtl_cuda.inference.inputs import find_inputs
from mtl_cuda.inference.model import Picture, SceneModel, load_model
from mtl_cuda.inference.options import PredictOptions
from mtl_cuda.inference.timing import StageTimer
from mtl_cuda.inference.writers import write_result

IMAGE_OUTPUTS = ("classes", "instances", "depth", "panels")
VIDEO_OUTPUTS = ("overlay",)


def run_prediction(
    path: Path,
    inputs: Sequence[Path],
    out: Path,
    options: PredictOptions,
    *,
    device: str = "auto",
    write: Sequence[str] | None = None,
    instances: Mapping[str, Any] | None = None,
    benchmark: bool = False,
) -> None:
    """Predict images, videos and folders of them into `out`.

    Results of an image are OUT/NAME_classes.png and so on: see `write_result`. Of a video, the
    overlay is OUT/NAME_overlay.mp4, and the results of its frames are OUT/NAME/NAME_000000_...

    Args:
        path: of the model, see `load_model`.
        inputs: files and folders.
        out: folder to write into; made where it is missing.
        options: how the network looks at images.
        device: that it runs on.
        write: kinds of results; None is `IMAGE_OUTPUTS` of images and `VIDEO_OUTPUTS` of videos.
        instances: fields of `InstanceConfig` that replace those of the training.
        benchmark: print where the time went.

    Raises:
        FileNotFoundError: the model or an input is missing.
        ValueError: the model makes no such results; or an input is damaged or cannot be read: all
            others are predicted first.
    """
    model = load_model(path, device, instances=instances)
    _check_outputs(model, write or ())
    images, videos = find_inputs(inputs)
    if benchmark:
        _warm_up(model, images, videos, options)
    job = _Job(model, options, out, StageTimer(model.device if benchmark else None))
    out.mkdir(parents=True, exist_ok=True)
    job.predict_images(images, write or IMAGE_OUTPUTS)
    for video in videos:
        job.predict_video(video, write or VIDEO_OUTPUTS)
    counts = [f"{job.images} images"] * bool(images) + [f"{job.frames} frames"] * bool(videos)
    print(f"{' and '.join(counts)}: {out.resolve()}")
    if benchmark:
        print(job.timer.table(job.images + job.frames))
    if job.failures:
        raise ValueError(
            f"{len(job.failures)} of {len(images) + len(videos)} inputs could not be predicted, "
            f"the others were; {'; '.join(job.failures[:10])}"
        )


@dataclass
class _Job:
    model: SceneModel
    options: PredictOptions
    out: Path
    timer: StageTimer
    images: int = 0
    frames: int = 0
    failures: list[str] = field(default_factory=list)

    def predict_images(self, paths: Sequence[Path], write: Sequence[str]) -> None:
        bar = tqdm(total=len(paths), unit="image", disable=None, leave=False)
        for result in self.model.stream(self._read(paths), self.options, self.timer):
            with self.timer.stage("write"):
                write_result(result, self.out, write)
            self.images += 1
            bar.update()
        bar.close()

    def predict_video(self, path: Path, write: Sequence[str]) -> None:
        try:
            with VideoReader(path) as reader:
                self._predict_frames(reader, path.stem, write)
        except ValueError as error:
            self.failures.append(str(error))

    def _predict_frames(self, reader: VideoReader, name: str, write: Sequence[str]) -> None:
        files = [kind for kind in write if kind != "overlay"]
        named = ((f"{name}_{i:06d}", frame) for i, frame in enumerate(self._timed(reader)))
        results = self.model.stream(named, self.options, self.timer)
        bar = tqdm(results, total=reader.frames, unit="frame", disable=None, leave=False)
        with VideoWriter(self.out / f"{name}_overlay.mp4", reader.rate) as video:
            for result in bar:
                with self.timer.stage("write"):
                    if files:
                        write_result(result, self.out / name, files)
                    if "overlay" in write:
                        video.write(result.overlay())
                self.frames += 1

    def _read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Picture]]:
        """Images that can be read; of the others, the reasons go to the failures."""
        for path in paths:
            try:
                with self.timer.stage("read"):
                    image = read_image(path)
            except (OSError, ValueError) as error:
                self.failures.append(str(error))
            else:
                yield path.stem, image

    def _timed(self, frames: Iterable[Picture]) -> Iterator[Picture]:
        iterator = iter(frames)
        while True:
            with self.timer.stage("read"):
                frame = next(iterator, None)
            if frame is None:
                return
            yield frame


def _check_outputs(model: SceneModel, write: Sequence[str]) -> None:
    """Refuse results that were asked for and that the network cannot give."""
    makes = {
        "classes": "semantic" in model.tasks,
        "instances": model.finds_instances,
        "depth": "depth" in model.tasks,
    }
    lacking = [kind for kind in write if not makes.get(kind, True)]
    if lacking:
        raise ValueError(
            f"--write {' '.join(lacking)}: the model predicts {', '.join(model.tasks)} alone"
        )


def _warm_up(
    model: SceneModel, images: Sequence[Path], videos: Sequence[Path], options: PredictOptions
) -> None:
    """Predict a first batch, whose time is that of first calls; none where nothing can be read."""
    picture = _first_picture(images, videos)
    if picture is not None:
        for _ in model.stream([("warm-up", picture)] * options.batch, options):
            pass


def _first_picture(images: Sequence[Path], videos: Sequence[Path]) -> Picture | None:
    """Of the inputs that can be read; the others are told of later."""
    for path in images:
        with suppress(OSError, ValueError):
            return read_image(path)
    for path in videos:
        with suppress(OSError, ValueError), VideoReader(path) as reader:
            return next(iter(reader), None)
    return None
