"""DBSCAN of points in the plane, with scikit-learn's arguments and scikit-learn's answers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import mtl_cuda.ops.dbscan as op
from mtl_cuda import checks

MAX_POINTS = 2**30
EPS_RANGE = (1e-150, 1e150)  # where squares neither vanish nor overflow


class DbscanResult(NamedTuple):
    """Clusters of N points.

    Attributes:
        labels_: int64 [N]: 0, 1, ... by the smallest index of a core point; -1 = noise.
        core_sample_indices_: int64 [number of core points], ascending.
    """

    labels_: Tensor
    core_sample_indices_: Tensor


def dbscan(
    points: Tensor, eps: float, min_samples: int = 5, border: str = "dbscan"
) -> DbscanResult:
    """Density-based clusters (Ester, Kriegel, Sander, Xu, KDD 1996), exact, of millions of points.

    A neighbour is at distance <= ``eps``, a point is its own neighbour, and a core point has at
    least ``min_samples`` neighbours. Core points joined by neighbourhood are a cluster. With
    ``border="dbscan"`` the labels and core points are those of ``sklearn.cluster.DBSCAN`` with
    ``algorithm="kd_tree"``, numbers included. Distances are compared in float64, squared. Results
    are the same bits for every number of threads and on CUDA devices. There the core points come
    as indices at the price of one synchronisation (``torch.ops.mtl_cuda.dbscan`` gives a mask
    without).

    Args:
        points: [N,2] float32 or float64 tensor on the CPU (``torch.from_numpy`` takes an array) or
            a CUDA device. Points with NaN or infinity are noise and nobody's neighbour.
        eps: the radius of a neighbourhood, in the points' unit; 1e-150 to 1e150.
        min_samples: points, at least 1, that a core point has within ``eps``, itself counted.
        border: where a point goes that is no core point but has some within ``eps``, which may be
            of several clusters. "dbscan": to the cluster with the smallest core index. "optics":
            the same, but the point is noise if its index is below that one, as in the labels that
            ``sklearn.cluster.OPTICS(max_eps=eps, eps=eps, cluster_method="dbscan")`` gives.
            "nearest": to the cluster of the nearest core point (of several, the first cluster).
            "none": border points are noise.

    Raises:
        TypeError: ``points`` is no tensor of a supported type, or ``min_samples`` no integer.
        ValueError: another shape, or a number out of its range.
        NotImplementedError: the points are neither on the CPU nor on a CUDA device.
    """
    check_points(points)
    check_radius(eps, "eps")
    check_samples(min_samples, "min_samples")
    if border not in op.BORDERS:
        raise ValueError(f"border: expected one of {list(op.BORDERS)}, got {border!r}")
    labels, core = torch.ops.mtl_cuda.dbscan(points.detach(), float(eps), min_samples, border)
    return DbscanResult(labels.long(), core.nonzero().flatten())


def check_points(points: object) -> None:
    """Refuse what is no [N,2] of floats on the CPU or a CUDA device."""
    tensor = checks.check_tensor(points, "points")
    checks.check_dtype(tensor, (torch.float64, torch.float32), "points")
    if tensor.dim() != 2 or tensor.shape[1] != 2:
        raise ValueError(f"points: expected [N,2], got {list(tensor.shape)}")
    if len(tensor) > MAX_POINTS:
        raise ValueError(f"points: expected at most 2**30, got {len(tensor)}")
    if tensor.device.type not in ("cpu", "cuda"):
        raise NotImplementedError(
            f"points: expected a tensor on the CPU or a CUDA device, got one on {tensor.device}; "
            "move it with .cpu()"
        )


def check_radius(radius: float, argument: str) -> None:
    """Refuse a radius that is no positive number of a size that can be squared."""
    low, high = EPS_RANGE
    if not low <= radius <= high:
        raise ValueError(f"{argument}: expected a number from {low} to {high}, got {radius}")


def check_samples(number: object, argument: str) -> None:
    """Refuse what is no integer of at least 1."""
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{argument}: expected an integer, got {type(number).__name__}")
    if not 1 <= number < 2**62:
        raise ValueError(f"{argument}: expected at least 1, got {number}")
