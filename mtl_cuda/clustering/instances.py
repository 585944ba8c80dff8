"""Instances of a batch of images, from vectors to their centres and a class map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

import mtl_cuda.ops.cluster_instances as op
from mtl_cuda import checks
from mtl_cuda.clustering.points import check_radius, check_samples
from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.ops.dbscan import BORDERS

MAX_CLASS = 65535
MAX_CELLS = 2**31 - 3
MAX_CLASSES_CUDA = 32


def cluster_instances(
    offsets: Tensor,
    semantic: Tensor,
    thing_classes: Sequence[int],
    *,
    eps: float,
    min_samples: int,
    method: str = "density",
    probabilities: Tensor | None = None,
    cells_per_pixel: int = 1,
    border: str = "dbscan",
    margin: float = 0.0,
    max_distance: float = math.inf,
    min_pixels: int = 1,
    class_agnostic: bool = False,
) -> InstanceClusters:
    """Find the instances that the pixels of each image vote for.

    A pixel of a thing class votes for the point pixel + offset. Per image and class the votes are
    clustered by :func:`mtl_cuda.dbscan`; the centre of a cluster is the mean of its votes; then
    every pixel of the class goes to the centre that is nearest to its vote, of several the first
    (Kendall, Gal, Cipolla, CVPR 2018, section 4.2, which clusters by OPTICS). Images and classes
    never mix, and an image's result does not depend on the rest of the batch.

    Results are the same bits on every run and, of "density", on the CPU and on CUDA devices. There
    the clusters found wait on the device, and one synchronisation at the end reads how many they
    are (``torch.ops.mtl_cuda.cluster_instances_tables`` does without); an image may have 16384
    clusters and the call 32 thing classes.

    The score of an instance is the mean probability of its class over its pixels (1 without
    ``probabilities``) times the share of its pixels whose votes are within ``eps`` of its centre:
    sure of the class, and agreed on the place.

    Args:
        offsets: [B,2,H,W] of float32, float16, bfloat16 or float64, on the CPU or a CUDA device:
            vectors (x, y) from the pixel to the centre, in pixels. A vote that is not finite is
            noise, and its pixel belongs to nothing; one outside the image is no part of any
            cluster, but its pixel goes to the nearest centre.
        semantic: [B,H,W] of uint8, int16, int32 or int64: the class of each pixel.
        thing_classes: the classes that have instances, each 0 to 65535.
        eps: the radius of a vote's neighbourhood, in pixels.
        min_samples: votes within ``eps`` that make a core point, the vote itself counted.
        method: "density" rounds votes to ``1 / cells_per_pixel`` of a pixel and clusters the
            places that have any, exactly: fast where votes agree. "grid" clusters the votes as they
            are; on the CPU only.
        probabilities: [B,C,H,W] of floats in [0, 1], C above every thing class: of each class.
        cells_per_pixel: of the method "density", at least 1; a vote moves by at most
            ``sqrt(2) / (2 * cells_per_pixel)`` pixels.
        border: where votes go that are no core points, as in :func:`mtl_cuda.dbscan`. It only
            bears on the centres.
        margin: votes up to so many pixels outside the image count as inside.
        max_distance: pixels whose votes are farther than this from any centre get no instance.
        min_pixels: instances of fewer pixels are dropped; at least 1.
        class_agnostic: cluster the pixels of all thing classes together; an instance then gets the
            class of most of its pixels, of several the first in ``thing_classes``.

    Raises:
        TypeError: an argument of a type that is not listed.
        ValueError: another shape, or a number out of its range.
        NotImplementedError: the tensors are on a device, or of a method on it, that has no kernel.
    """
    _check_tensors(offsets, semantic, probabilities, thing_classes)
    check_radius(eps, "eps")
    for argument, number in (
        ("min_samples", min_samples),
        ("cells_per_pixel", cells_per_pixel),
        ("min_pixels", min_pixels),
    ):
        check_samples(number, argument)
    check_radius(eps * cells_per_pixel, "eps * cells_per_pixel")
    for argument, choice, choices in (
        ("method", method, op.METHODS),
        ("border", border, BORDERS),
    ):
        if choice not in choices:
            raise ValueError(f"{argument}: expected one of {list(choices)}, got {choice!r}")
    if offsets.is_cuda and method != "density":
        raise NotImplementedError(
            f"method: expected 'density' on a CUDA device, got {method!r}; move the tensors with "
            ".cpu() for the others"
        )
    if not max_distance >= 0:
        raise ValueError(f"max_distance: expected a number >= 0, got {max_distance}")
    layers = len(thing_classes) if offsets.is_cuda and not class_agnostic else 1
    _check_cells(offsets, margin, cells_per_pixel, layers)

    ids, per_image, *tables = torch.ops.mtl_cuda.cluster_instances(
        offsets.detach(),
        semantic,
        None if probabilities is None else probabilities.detach(),
        list(thing_classes),
        method,
        float(eps),
        min_samples,
        border,
        cells_per_pixel,
        float(margin),
        float(max_distance),
        min_pixels,
        class_agnostic,
    )
    sizes = per_image.tolist()
    return InstanceClusters(ids, *[list(table.split(sizes)) for table in tables])


def _check_tensors(
    offsets: object, semantic: object, probabilities: object, thing_classes: Sequence[int]
) -> None:
    votes = checks.check_tensor(offsets, "offsets")
    checks.check_dtype(votes, checks.PREDICTION_DTYPES, "offsets")
    if votes.dim() != 4 or votes.shape[1] != 2:
        raise ValueError(f"offsets: expected [B,2,H,W], got {list(votes.shape)}")
    batch, _, height, width = votes.shape
    if height * width >= 2**30:
        raise ValueError(f"offsets: expected less than 2**30 pixels, got {height} x {width}")
    classes = checks.check_tensor(semantic, "semantic")
    checks.check_dtype(classes, checks.LABEL_DTYPES, "semantic")
    checks.check_shape(classes, (batch, height, width), "[B,H,W] of the offsets", "semantic")
    given = {"offsets": votes, "semantic": classes}
    if not all(isinstance(c, int) and 0 <= c <= MAX_CLASS for c in thing_classes):
        raise ValueError(
            f"thing_classes: expected integers 0 to {MAX_CLASS}, got {list(thing_classes)}"
        )
    if len(set(thing_classes)) < len(thing_classes):
        raise ValueError(f"thing_classes: expected each class once, got {list(thing_classes)}")
    if probabilities is not None:
        shares = checks.check_tensor(probabilities, "probabilities")
        checks.check_dtype(shares, checks.PREDICTION_DTYPES, "probabilities")
        channels = shares.shape[1] if shares.dim() == 4 else 0
        checks.check_shape(
            shares, (batch, channels, height, width), "[B,C,H,W] of the offsets", "probabilities"
        )
        if channels <= max(thing_classes, default=-1):
            raise ValueError(
                f"probabilities: expected a channel for each of {list(thing_classes)}, got "
                f"{channels}"
            )
        given["probabilities"] = shares
    for argument, tensor in given.items():
        if tensor.device.type not in ("cpu", "cuda"):
            raise NotImplementedError(
                f"{argument}: expected a tensor on the CPU or a CUDA device, got one on "
                f"{tensor.device}; move it with .cpu()"
            )
        if tensor.device != votes.device:
            raise ValueError(
                f"{argument}: expected a tensor on {votes.device} like the offsets, got one on "
                f"{tensor.device}; move it with .to('{votes.device}')"
            )
    if votes.is_cuda and len(thing_classes) > MAX_CLASSES_CUDA:
        raise ValueError(
            f"thing_classes: expected at most {MAX_CLASSES_CUDA} on a CUDA device, got "
            f"{len(thing_classes)}"
        )


def _check_cells(offsets: Tensor, margin: float, cells_per_pixel: int, layers: int) -> None:
    if not 0 <= margin < math.inf:
        raise ValueError(f"margin: expected a finite number >= 0, got {margin}")
    height, width = offsets.shape[2:]
    cells = (height + 2 * margin + 1) * (width + 2 * margin + 1) * cells_per_pixel**2 * layers
    if cells > MAX_CELLS:
        raise ValueError(
            f"cells_per_pixel, margin: expected at most {MAX_CELLS} cells per image, got "
            f"{cells:.3g}; use fewer cells per pixel"
        )
