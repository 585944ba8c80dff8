"""The loss as a module: `MultiTaskLoss`, a drop-in criterion with its own log-variances."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, distributed, nn

from mtl_cuda import functional
from mtl_cuda.functional import Target
from mtl_cuda.joined import join_losses, mean_of_processes, process_count, weigh
from mtl_cuda.ops.multi_task_loss import LossResult
from mtl_cuda.tasks import Task
from mtl_cuda.weighting import SCHEMES, RawLosses, Weighed, Weighting, check_name
from mtl_cuda.weighting.base import alone


class MultiTaskLossOutput:
    """The weighed loss and, by task name, what it is made of, put into mappings when asked for.

    Attributes:
        total: scalar; call ``backward()`` on it. May be negative.
        losses: raw loss of each task (differentiable scalars), 0 where no pixel is valid.
        weights: the factor each raw loss has in the total, d total / d loss (no gradient).
        sigmas: the noise scale ``exp(s/2)`` of each task at the time of the call (no gradient);
            empty where the weighting has none.
        valid: number of valid pixels of each task (int64 scalars).
    """

    def __init__(
        self,
        names: Iterable[str],
        result: LossResult,
        log_variances: Tensor | None,
        weighed: Weighed | None = None,
    ) -> None:
        """``log_variances``: [T] as the loss used them, unchanged by later steps.

        ``weighed``: what a scheme has made of the op's raw losses; None where the op weighed.
        """
        self.total = result.total if weighed is None else weighed.total
        self._names = tuple(names)
        self._weights = None if weighed is None else weighed.weights
        # Its gradients belong to the graph, which frees them: they are not kept here.
        self._result = LossResult(*result[:4], gradients=[])
        self._log_variances = log_variances

    @property
    def losses(self) -> dict[str, Tensor]:  # noqa: D102 (all properties: see the class)
        return self._by_name(self._result.losses)

    @property
    def weights(self) -> dict[str, Tensor]:  # noqa: D102
        return self._by_name(self._result.weights if self._weights is None else self._weights)

    @property
    def sigmas(self) -> dict[str, Tensor]:  # noqa: D102
        if self._log_variances is None:
            return {}
        return self._by_name(self._log_variances.mul(0.5).exp())

    @property
    def valid(self) -> dict[str, Tensor]:  # noqa: D102
        return self._by_name(self._result.valid)

    def _by_name(self, values: Tensor) -> dict[str, Tensor]:
        return dict(zip(self._names, values.unbind()))


class MultiTaskLoss(nn.Module):
    """Several dense losses in one fused op, weighed by learned uncertainty or another scheme.

    With ``weighting="uncertainty"`` every task has a log-variance ``s = log sigma**2``, a parameter
    that trains along with the network (Kendall, Gal, Cipolla, CVPR 2018, equation 7; the form per
    likelihood is in :mod:`mtl_cuda.tasks`). Give the optimizer ``log_variances`` without weight
    decay. With a mapping of task name to number the total is the weighed sum of the raw losses.

    The other schemes (:mod:`mtl_cuda.weighting`) make the total from the op's raw losses, so they
    read no prediction again; a task's likelihood has no part in them. What a scheme learns is in
    ``parameters()``, for the optimizer, without weight decay; its state is in buffers. Call
    ``end_epoch()`` after each pass over the training set where the scheme goes by epochs.

    With ``sync_normalizer=True`` the processes of ``torch.distributed`` share a batch: raw losses
    and valid pixels, and with them the total and all weights, are those of the joined batch, the
    same on every process (:mod:`mtl_cuda.joined`; one small all-reduce per call, so every process
    must call). The mean of the gradients over the processes, as
    ``torch.nn.parallel.DistributedDataParallel`` makes it, is then the gradient on that batch. Put
    network and criterion into one module and wrap that, so that log-variances stay the same too.

    Args:
        tasks: by name, what each prediction is; their order is that of ``log_variances``.
        weighting: one of :data:`mtl_cuda.weighting.NAMES`; a scheme with options, which is copied;
            or a fixed weight >= 0 for each task.
        initial_log_variance: where every ``s`` starts (0 is sigma = 1), or one number per task.
        align_corners: as in ``torch.nn.functional.interpolate``, for low-resolution predictions.
        validate: raise on bad labels also where that costs a synchronisation (CUDA); on the CPU
            labels are always checked. The environment variable MTL_CUDA_VALIDATE=1 turns it on.
        sync_normalizer: take the losses of the joined batch of all processes; without effect where
            there is one process alone.
        process_group: of these processes; None is all of them.

    Raises:
        ValueError: no task, an unknown weighting (the message names the nearest), or weights that
            do not match the tasks.
        TypeError: ``weighting`` is nothing of the above.

    Example:
        >>> criterion = MultiTaskLoss({"semantic": CrossEntropyTask(19), "depth": L1Task()})
        >>> out = criterion(predictions, targets)
        >>> out.total.backward()
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        weighting: str | Weighting | Mapping[str, float] = "uncertainty",
        *,
        initial_log_variance: float | Mapping[str, float] = 0.0,
        align_corners: bool = False,
        validate: bool = False,
        sync_normalizer: bool = False,
        process_group: distributed.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        if not tasks:
            raise ValueError("tasks: expected at least one task, got none")
        self.tasks = dict(tasks)
        self.align_corners = align_corners
        self.validate = validate
        self.sync_normalizer = sync_normalizer
        self.process_group = process_group
        self.scheme = _scheme(weighting)
        # By these the op weighs the raw losses, where it does not by log-variances.
        self.fixed_weights: dict[str, float] | None = None
        self.log_variances: nn.Parameter | None = None
        if isinstance(weighting, Mapping):
            values = _per_task(weighting, self.tasks, "weighting")
            self.fixed_weights = dict(zip(self.tasks, values))
        elif weighting != "uncertainty":
            self.fixed_weights = dict.fromkeys(self.tasks, 1.0)
        if weighting == "uncertainty" or (self.scheme and self.scheme.learns_log_variances):
            initial = _per_task(initial_log_variance, self.tasks, "initial_log_variance")
            self.log_variances = nn.Parameter(torch.tensor(initial, dtype=torch.float32))
        if self.scheme is not None:
            self.scheme.start(len(self.tasks))

    def forward(
        self,
        predictions: Mapping[str, Tensor],
        targets: Mapping[str, Target],
        shared: Iterable[Tensor] = (),
    ) -> MultiTaskLossOutput:
        """Weigh the losses of one batch.

        Args:
            predictions: by task name, [B,C,h,w] in float32, float16, bfloat16 or float64.
            targets: by task name, on the grid [B,H,W] as the task describes it.
            shared: parameters that all predictions depend on; only GradNorm looks at them.

        Raises:
            ValueError, TypeError: as :func:`mtl_cuda.functional.multi_task_loss`.
        """
        log_variances: Tensor | None = self.log_variances
        result = functional.fused_loss(
            predictions,
            targets,
            self.tasks,
            log_variances if self.scheme is None else None,
            self.fixed_weights,
            self.align_corners,
            self.validate,
        )
        joins = self.sync_normalizer and process_count(self.process_group) > 1
        if log_variances is not None:
            derived = joins or self.scheme is not None
            log_variances = functional.clamped(log_variances if derived else log_variances.detach())
        weighed, mean = None, alone
        if joins:
            result = self._joined(result, targets)
            mean = partial(mean_of_processes, group=self.process_group)
        if self.scheme is not None:
            given = tuple([predictions[name] for name in self.tasks])
            losses = RawLosses(
                result.losses, result.valid, log_variances, given, tuple(shared), mean
            )
            weighed = self.scheme(losses)
        elif joins:
            weighed = weigh(
                result.losses, result.valid, self.tasks, log_variances, self.fixed_weights
            )
        if log_variances is not None:
            log_variances = log_variances.detach()
        return MultiTaskLossOutput(self.tasks, result, log_variances, weighed)

    def _joined(self, result: LossResult, targets: Mapping[str, Target]) -> LossResult:
        joined = join_losses(result.losses, result.valid, self.tasks, targets, self.process_group)
        return result._replace(losses=joined.losses, valid=joined.valid)

    def end_epoch(self) -> None:
        """Say that a pass over the training set is over, after its last optimizer step."""
        if self.scheme is not None:
            self.scheme.end_epoch()

    def extra_repr(self) -> str:
        """Tasks and weighting, one line each."""
        lines = [f"{name}: {task}" for name, task in self.tasks.items()]
        if self.scheme is None:
            lines.append(f"weighting={self.fixed_weights or 'uncertainty'}")
        return "\n".join(lines)


def _scheme(weighting: str | Weighting | Mapping[str, float]) -> Weighting | None:
    """A scheme of one's own; None where the op does the weighing."""
    if isinstance(weighting, str):
        check_name(weighting)
        return SCHEMES[weighting]() if weighting in SCHEMES else None
    if isinstance(weighting, Weighting):
        return copy.deepcopy(weighting)
    if isinstance(weighting, Mapping):
        return None
    raise TypeError(
        "weighting: expected a name, a mtl_cuda.weighting.Weighting or a mapping of task name to "
        f"weight, got {type(weighting).__name__}"
    )


def _per_task(
    value: float | Mapping[str, float], tasks: Mapping[str, Task], argument: str
) -> list[float]:
    if not isinstance(value, Mapping):
        return [float(value)] * len(tasks)
    if set(value) != set(tasks):
        raise ValueError(
            f"{argument}: expected one number for each of {sorted(tasks)}, got {sorted(value)}"
        )
    return [float(value[name]) for name in tasks]
