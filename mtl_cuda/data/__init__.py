"""Data sets, their file formats, and the way from files to training samples.

Importing this package needs no OpenCV; reading, writing and resizing images does.
"""

from mtl_cuda.data.camvid import CAMVID_INFO, CamVidDataset
from mtl_cuda.data.cityscapes import CityscapesDataset
from mtl_cuda.data.dataset import SampleError, SceneSamples
from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.io import read_image, read_png, write_png
from mtl_cuda.data.labels import CITYSCAPES_INFO
from mtl_cuda.data.normalise import IMAGE_MEAN, IMAGE_STD, denormalise, normalise
from mtl_cuda.data.scene import Scene
from mtl_cuda.data.source import SceneSource
from mtl_cuda.data.transforms import (
    EvalTransform,
    TrainTransform,
    colour_jitter,
    crop,
    horizontal_flip,
    resize,
)

__all__ = [
    "CAMVID_INFO",
    "CITYSCAPES_INFO",
    "IMAGE_MEAN",
    "IMAGE_STD",
    "CamVidDataset",
    "CityscapesDataset",
    "DatasetInfo",
    "EvalTransform",
    "SampleError",
    "Scene",
    "SceneSamples",
    "SceneSource",
    "TrainTransform",
    "colour_jitter",
    "crop",
    "denormalise",
    "horizontal_flip",
    "normalise",
    "read_image",
    "read_png",
    "resize",
    "write_png",
]
