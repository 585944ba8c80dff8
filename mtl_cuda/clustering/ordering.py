"""OPTICS of points in the plane, with scikit-learn's arguments and scikit-learn's answers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import mtl_cuda.ops.optics  # noqa: F401  registers the ops
from mtl_cuda.clustering.points import check_points, check_radius, check_samples, dbscan

CLUSTER_METHODS = ("xi", "dbscan")


class OpticsResult(NamedTuple):
    """The order in which OPTICS takes N points, and clusters drawn from it.

    Of points on a CUDA device there are labels only; the other tensors are empty.

    Attributes:
        labels_: int64 [N], -1 = noise.
        ordering_: int64 [N]: the points in the order in which they are taken.
        reachability_: float64 [N], by point: the distance at which it was reached; infinite for
            the first of each component.
        core_distances_: float64 [N], by point: the distance to the ``min_samples``-th neighbour,
            itself counted; infinite beyond ``max_eps``.
        predecessor_: int64 [N], by point: the point that it was reached from; -1 = none.
    """

    labels_: Tensor
    ordering_: Tensor
    reachability_: Tensor
    core_distances_: Tensor
    predecessor_: Tensor


def optics(
    points: Tensor,
    min_samples: int = 5,
    max_eps: float = float("inf"),
    cluster_method: str = "xi",
    eps: float | None = None,
    xi: float = 0.05,
    predecessor_correction: bool = True,
    min_cluster_size: int | None = None,
) -> OpticsResult:
    """Order points by density (Ankerst, Breunig, Kriegel, Sander, SIGMOD 1999), and cluster them.

    Every array is that of ``sklearn.cluster.OPTICS`` with ``algorithm="kd_tree"``: distances are
    rounded to 15 decimals, of equal reachabilities the smaller index is taken first. The walk is
    sequential, but visits only points to which it has something to offer, and points in the same
    place once.

    Where only the labels at one radius are wanted, :func:`mtl_cuda.dbscan` with
    ``border="optics"`` is much faster. They are what a CUDA device can give, where nothing walks
    from point to point: ``cluster_method="dbscan"`` at ``eps = max_eps``.

    Args:
        points: [N,2] float32 or float64 tensor on the CPU or, for these labels, a CUDA device.
            Points with NaN or infinity are noise, out of everyone's reach, and taken at their
            index's turn.
        min_samples: points, at least 1 and at most N, that a core point has within ``max_eps``.
        max_eps: the largest distance considered, at least 1e-150; may be infinite.
        cluster_method: "xi" cuts the reachability plot at steep places; "dbscan" at ``eps``.
        eps: of the method "dbscan", at most ``max_eps``, which it is by default.
        xi: of the method "xi": the share by which the plot must fall or rise, 0 to 1.
        predecessor_correction: of the method "xi": drop points at the end of a cluster that were
            reached from outside it (Schubert, Gertz, LWDA 2018).
        min_cluster_size: of the method "xi", at least 1 and at most N; by default ``min_samples``.

    Raises:
        TypeError: ``points`` is no tensor of a supported type, or a number is no integer.
        ValueError: another shape, or an argument out of its range.
        NotImplementedError: the points are on a CUDA device, and more than the labels at
            ``max_eps`` is asked for; or they are on another device.
    """
    check_points(points)
    if cluster_method not in CLUSTER_METHODS:
        raise ValueError(
            f"cluster_method: expected one of {list(CLUSTER_METHODS)}, got {cluster_method!r}"
        )
    if max_eps != float("inf"):
        check_radius(max_eps, "max_eps")
    _check_number(min_samples, len(points), "min_samples")
    size = min_samples if min_cluster_size is None else min_cluster_size
    _check_number(size, len(points), "min_cluster_size")
    if not 0 <= xi <= 1:
        raise ValueError(f"xi: expected a number from 0 to 1, got {xi}")
    radius = max_eps if eps is None else eps
    if not 0 <= radius <= max_eps:
        raise ValueError(f"eps: expected a number from 0 to max_eps = {max_eps}, got {radius}")

    given = points.detach()  # nothing here has a derivative
    if given.is_cuda:
        return _labels_only(given, min_samples, max_eps, cluster_method == "dbscan", radius)
    order, reach, core, predecessor = torch.ops.mtl_cuda.optics(given, float(max_eps), min_samples)
    if cluster_method == "dbscan":
        labels = labels_at(radius, order, reach, core)
    else:
        labels = torch.ops.mtl_cuda.optics_xi(
            order, reach, predecessor, min_samples, size, float(xi), predecessor_correction
        )
    return OpticsResult(labels, order, reach, core, predecessor)


def _labels_only(
    points: Tensor, min_samples: int, max_eps: float, at_radius: bool, radius: float
) -> OpticsResult:
    if not at_radius or radius != max_eps or max_eps == float("inf"):
        raise NotImplementedError(
            "points: on a CUDA device optics gives the labels of cluster_method='dbscan' at a "
            "finite max_eps = eps; move them with .cpu() for the order and for other labels"
        )
    nothing = points.new_empty(0, dtype=torch.float64)
    none = points.new_empty(0, dtype=torch.int64)
    labels = dbscan(points, max_eps, min_samples, border="optics").labels_
    return OpticsResult(labels, none, nothing, nothing, none)


def labels_at(eps: float, ordering: Tensor, reachability: Tensor, core_distances: Tensor) -> Tensor:
    """Labels [N] from cutting the reachability plot at ``eps``: the paper's figure 8."""
    starts = (reachability > eps) & (core_distances <= eps)
    labels = torch.empty_like(ordering)
    labels[ordering] = starts[ordering].cumsum(0) - 1
    labels[(reachability > eps) & ~starts] = -1
    return labels


def _check_number(number: object, count: int, argument: str) -> None:
    check_samples(number, argument)
    if isinstance(number, int) and number > max(count, 1):
        raise ValueError(f"{argument}: expected at most the {count} points, got {number}")
