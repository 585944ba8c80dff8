"""The Cityscapes trainIds of what the streets are made of."""

from __future__ import annotations

from mtl_cuda.data.labels import CITYSCAPES_INFO

(
    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, VEGETATION, TERRAIN,
    SKY, PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE,
) = range(CITYSCAPES_INFO.num_classes)  # fmt: skip
