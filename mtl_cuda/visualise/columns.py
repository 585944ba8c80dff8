"""The columns of a panel: one quantity each, the prediction above the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.metrics import target_offsets
from mtl_cuda.visualise.colours import (
    Picture,
    colour_classes,
    colour_inverse_depth,
    colour_offsets,
    draw_instances,
    inverse_depth_limits,
    offset_scale,
)
from mtl_cuda.visualise.keys import KeyStyle, class_key, inverse_depth_key, offset_key

Maps = Mapping[str, npt.NDArray[Any]]


class Cell(NamedTuple):
    """A picture at the size of the image, and what is written above it."""

    caption: str
    picture: Picture


class Column(NamedTuple):
    """A quantity: prediction, truth and the key to the colours, each None where there is none."""

    upper: Cell | None
    lower: Cell | None
    key: Picture | None


def make_columns(
    image: Picture, predicted: Maps, truth: Maps, info: DatasetInfo, style: KeyStyle
) -> list[Column]:
    """The columns that the given maps allow; the first has the image."""
    clusters, ids = predicted.get("clusters"), truth.get("instance")
    lower = None
    if ids is not None and clusters is None:  # with no predicted instances to stand below
        lower = Cell("instances, ground truth", draw_instances(image, ids))
    columns = [Column(Cell("input", image), lower, None)]
    if "semantic" in predicted or "semantic" in truth:
        columns.append(_semantic(predicted.get("semantic"), truth.get("semantic"), info, style))
    if "instance" in predicted or "instance" in truth:
        columns.append(_offsets(predicted, truth, info, style))
    if "depth" in predicted or "depth" in truth:
        columns.append(_depth(predicted.get("depth"), truth.get("depth"), info, style))
    if clusters is not None:
        truth_drawn = None if ids is None else draw_instances(image, ids)
        columns.append(_column("instances", draw_instances(image, clusters), truth_drawn, None))
    if len(columns) == 2 and lower is None:  # one quantity: its truth needs no row of its own
        shown = columns.pop()
        columns.append(Column(shown.upper, None, shown.key))
        if shown.lower is not None:
            columns.append(Column(shown.lower, None, None))
    return columns


def _column(
    title: str, predicted: Picture | None, truth: Picture | None, key: Picture | None
) -> Column:
    upper = None if predicted is None else Cell(f"{title}, prediction", predicted)
    lower = None if truth is None else Cell(f"{title}, ground truth", truth)
    return Column(upper, lower, key)


def _semantic(
    predicted: npt.NDArray[Any] | None,
    truth: npt.NDArray[Any] | None,
    info: DatasetInfo,
    style: KeyStyle,
) -> Column:
    maps = (predicted, truth)
    found = {label for m in maps if m is not None for label in np.unique(m).tolist()}
    present = [label for label in range(info.num_classes) if label in found]
    key = class_key(
        [info.class_names[label] for label in present],
        [info.palette[label] for label in present],
        style,
    )
    pictures = [None if m is None else colour_classes(m, info.palette) for m in maps]
    return _column("semantics", pictures[0], pictures[1], key)


def _offsets(predicted: Maps, truth: Maps, info: DatasetInfo, style: KeyStyle) -> Column:
    fields = []
    if "instance" in predicted:
        things = None
        if "semantic" in predicted and info.thing_classes:
            things = np.isin(predicted["semantic"], info.thing_classes)
        fields.append(("upper", predicted["instance"], things))
    if "instance" in truth:
        ids = truth["instance"]
        vectors = target_offsets(torch.from_numpy(np.ascontiguousarray(ids))[None])[0].numpy()
        fields.append(("lower", vectors, ids > 0))
    _, vectors, mask = fields[-1]
    scale = offset_scale(vectors, mask)
    pictures = {
        place: colour_offsets(vectors, mask=mask, scale=scale) for place, vectors, mask in fields
    }
    key = offset_key(scale, style)
    return _column("vectors to centroid", pictures.get("upper"), pictures.get("lower"), key)


def _depth(
    predicted: npt.NDArray[Any] | None,
    truth: npt.NDArray[Any] | None,
    info: DatasetInfo,
    style: KeyStyle,
) -> Column:
    maps = (predicted, truth)
    limits = inverse_depth_limits(next(m for m in (truth, predicted) if m is not None))
    pictures = [None if m is None else colour_inverse_depth(m, limits) for m in maps]
    title = "disparity" if info.depth_unit == "px" else "inverse depth"
    key = inverse_depth_key(limits, info.depth_unit or "", style)
    return _column(title, pictures[0], pictures[1], key)
