"""Networks for several dense tasks at once."""

from __future__ import annotations

from mtl_cuda.models.aspp import ASPP
from mtl_cuda.models.deeplabv3 import CITYSCAPES_HEADS, MultiTaskDeepLabV3
from mtl_cuda.models.pretrained import load_pretrained_backbone
from mtl_cuda.models.resnet import BACKBONES, OUTPUT_STRIDES, ResNet

__all__ = [
    "ASPP",
    "BACKBONES",
    "CITYSCAPES_HEADS",
    "OUTPUT_STRIDES",
    "MultiTaskDeepLabV3",
    "ResNet",
    "load_pretrained_backbone",
]
