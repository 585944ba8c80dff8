from typing import Any

View = tuple[int, int, list[int], list[int]]

class BadLabel(ValueError): ...

class LossTask:
    def __init__(
        self,
        kind: int,
        likelihood: int,
        prediction: View,
        target: View,
        mask: View | None,
        gradient: View | None,
        class_weights: int,
        ignore_index: int,
        label_smoothing: float,
        log_variance: int,
        log_variance_is_double: bool,
        fixed_weight: float,
        align_corners: bool,
    ) -> None: ...

class LossOutputs:
    def __init__(
        self,
        total: int,
        losses: int,
        in_double: bool,
        weights: int,
        valid: int,
        log_variance_gradient: int,
        gradient_scales: int,
    ) -> None: ...

def build_info() -> dict[str, str]: ...
def cuda_info() -> dict[str, Any]: ...
def multi_task_loss_cpu(tasks: list[LossTask], outputs: LossOutputs, threads: int) -> None: ...
def multi_task_loss_workspace(tasks: list[LossTask]) -> int: ...
def multi_task_loss_cuda(
    tasks: list[LossTask], outputs: LossOutputs, workspace: int, stream: int
) -> None: ...
def scale_gradient_cuda(
    gradient: int, dtype: int, count: int, factor: int, stream: int
) -> None: ...
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
