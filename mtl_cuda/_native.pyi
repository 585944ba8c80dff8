from collections.abc import Sequence
from typing import Any

View = tuple[int, int, Sequence[int], Sequence[int]]
Outputs = tuple[int, int, bool, int, int]

class BadLabel(ValueError): ...

class LossTasks:
    def __init__(self, tasks: Sequence[tuple[int, int, int, int, float]]) -> None: ...
    def with_tensors(
        self,
        tensors: Sequence[tuple[View, View, View | None, View | None]],
        log_variances: tuple[int, int, bool] | None,
        fixed_weights: Sequence[float],
        align_corners: bool,
    ) -> LossTasks: ...

class ArgmaxTask:
    def __init__(
        self,
        logits: View,
        classes: View,
        probability: View | None,
        entropy: View | None,
        align_corners: bool,
    ) -> None: ...

def build_info() -> dict[str, str]: ...
def cuda_info() -> dict[str, Any]: ...
def multi_task_loss_cpu(tasks: LossTasks, outputs: Outputs, threads: int) -> None: ...
def multi_task_loss_workspace(tasks: LossTasks) -> int: ...
def multi_task_loss_cuda(
    tasks: LossTasks, outputs: Outputs, workspace: int, stream: int
) -> None: ...
def scale_gradient_cuda(
    gradient: int, dtype: int, count: int, factor: int, stream: int
) -> None: ...
def argmax_upsampled_cpu(task: ArgmaxTask, threads: int) -> None: ...
def argmax_upsampled_cuda(task: ArgmaxTask, stream: int) -> None: ...
def instance_centroids_cpu(
    ids: View, instances: int, centroids: int, counts: int, threads: int
) -> None: ...
def instance_centroids_workspace(batch: int) -> int: ...
def instance_centroids_cuda(
    ids: View, instances: int, centroids: int, counts: int, workspace: int, stream: int
) -> None: ...
def dbscan_cpu(
    points: int,
    count: int,
    eps: float,
    min_samples: int,
    border: int,
    labels: int,
    core: int,
    threads: int,
) -> None: ...
def dbscan_workspace(count: int) -> int: ...
def dbscan_cuda(
    points: int,
    count: int,
    eps: float,
    min_samples: int,
    border: int,
    labels: int,
    core: int,
    workspace: int,
    stream: int,
) -> None: ...
def optics_cpu(
    points: int,
    count: int,
    max_eps: float,
    min_samples: int,
    graph: tuple[int, int, int, int],
    threads: int,
) -> None: ...
def optics_xi(
    graph: tuple[int, int, int, int],
    count: int,
    min_samples: int,
    min_cluster_size: int,
    xi: float,
    predecessor_correction: bool,
    labels: int,
) -> None: ...

class InstanceSettings:
    def __init__(
        self,
        method: int,
        eps: float,
        min_samples: int,
        border: int,
        cells_per_pixel: int,
        margin: float,
        max_distance: float,
        min_pixels: int,
        class_agnostic: bool,
        thing_classes: list[int],
    ) -> None: ...

def cluster_instances_cpu(
    offsets: View,
    semantic: View,
    probabilities: View | None,
    settings: InstanceSettings,
    ids: int,
    threads: int,
) -> tuple[list[int], list[int], list[float], list[float], list[int], list[float]]: ...

MAX_CLUSTERS: int

def cluster_instances_workspace(offsets: View, settings: InstanceSettings) -> int: ...
def cluster_instances_cuda(
    offsets: View,
    semantic: View,
    probabilities: View | None,
    settings: InstanceSettings,
    tables: tuple[int, int, int, int, int, int],
    workspace: int,
    stream: int,
) -> None: ...
