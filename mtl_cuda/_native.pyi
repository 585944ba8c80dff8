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
    ) -> None: ...

def build_info() -> dict[str, str]: ...
def cuda_info() -> dict[str, Any]: ...
def multi_task_loss_cpu(tasks: list[LossTask], threads: int) -> list[list[float]]: ...
def instance_centroids_cpu(
    ids: View, instances: int, centroids: int, counts: int, threads: int
) -> None: ...
