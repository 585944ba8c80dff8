"""From scenes to training samples: a torch data set with reproducible augmentation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mtl_cuda.data.normalise import normalise
from mtl_cuda.data.scene import Scene
from mtl_cuda.data.source import SceneSource
from mtl_cuda.data.transforms import Transform


class SampleError(RuntimeError):
    """A sample could not be loaded; the message names the sample and the file."""


class SceneSamples(Dataset[dict[str, Any]]):
    """Scenes of a source as dicts of tensors, which PyTorch's default collation turns to batches.

    A sample holds "image" float32 [3, H, W] (normalised), "semantic" uint8 [H, W], "instance"
    int32 [H, W], "depth" float32 [H, W] (NaN = invalid), "name" str and "index" int.

    The random numbers of a sample depend on (seed, epoch, index) alone: not on the number of
    workers, the order of samples, or what was loaded before.

    Args:
        source: where scenes come from.
        transform: for example `TrainTransform`; every random number from the given generator.
        seed: not negative.
        skip_bad: how many damaged samples may be replaced, each by the next whole one, with a
            warning: one broken file among thousands then does not end a long run.

    Raises:
        ValueError: `seed` or `skip_bad` is negative.
    """

    def __init__(
        self, source: SceneSource, transform: Transform, seed: int = 0, skip_bad: int = 0
    ) -> None:
        for name, value in (("seed", seed), ("skip_bad", skip_bad)):
            if value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        self._source = source
        self._transform = transform
        self._seed = seed
        self._skip_bad = skip_bad
        # In shared memory: workers hold copies of this object and must see the others' changes.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._bad = torch.zeros(len(source), dtype=torch.bool).share_memory_()

    @property
    def source(self) -> SceneSource:
        """Where scenes come from."""
        return self._source

    def set_epoch(self, epoch: int) -> None:
        """Choose the random numbers of an epoch; call it before iterating over a loader.

        Raises:
            ValueError: `epoch` is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch must not be negative, got {epoch}")
        self._epoch.fill_(epoch)

    @property
    def skipped(self) -> list[int]:
        """Indices of the samples that were found damaged, by any worker."""
        return self._bad.nonzero().flatten().tolist()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Load and transform one sample.

        Raises:
            IndexError: there is no such sample.
            SampleError: a file of it is missing or damaged, and no more may be skipped.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} is outside 0..{len(self) - 1}")
        scene = self._whole_scene(index)
        key = (self._seed, int(self._epoch), index)
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
        scene = self._transform(scene, generator)
        return {
            "image": normalise(scene.image),
            "semantic": torch.from_numpy(scene.semantic),
            "instance": torch.from_numpy(scene.instance),
            "depth": torch.from_numpy(scene.inverse_depth),
            "name": scene.name,
            "index": index,
        }

    def _whole_scene(self, index: int) -> Scene:
        """The scene at `index`, or the next one that is whole."""
        while True:
            try:
                return self._source.scene(index)
            except (OSError, ValueError) as error:
                message = f"sample {index} of {self._source.info.name}: {error}"
                known = bool(self._bad[index])
                self._bad[index] = True
                count = int(self._bad.sum())
                if count > self._skip_bad or count == len(self):
                    whole = len(self) - count
                    also = f" ({count} damaged samples, {whole} whole)" if count > 1 else ""
                    raise SampleError(message + also) from error
                if not known:
                    warnings.warn(f"{message}: skipped, {count} so far", stacklevel=2)
            index = (index + 1) % len(self)
