"""How the raw losses of several tasks become one: the schemes beside learned uncertainty.

``MultiTaskLoss(tasks, weighting=...)`` takes a name of `NAMES`, a scheme with options such as
``DynamicWeightAverage(temperature=1.0)``, a mapping of task name to weight, or your own subclass of
`Weighting`. All of them work on the fused op's raw losses: predictions are read once.

=======================  ==============================  =================================
name                     scheme                          weights
=======================  ==============================  =================================
``uncertainty``          Kendall et al., CVPR 2018       learned; see `mtl_cuda.tasks`
``equal``                the plain sum                   1 each
``revised_uncertainty``  `RevisedUncertainty`            learned
``uw_so``                `SoftOptimalUncertainty`        from the losses; they add up to 1
``dwa``                  `DynamicWeightAverage`          by epoch; they add up to T
``rlw``                  `RandomLoss`                    drawn; they add up to 1
``gls``                  `GeometricMean`                 slopes of the geometric mean
``gradnorm``             `GradNorm`                      learned; they add up to T
=======================  ==============================  =================================

What the weights add up to acts like a factor of the learning rate: mind it when comparing schemes.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping

from mtl_cuda.weighting.base import RawLosses, Weighed, Weighting
from mtl_cuda.weighting.dynamic_weight_average import DynamicWeightAverage
from mtl_cuda.weighting.geometric_mean import GeometricMean
from mtl_cuda.weighting.gradnorm import GradNorm
from mtl_cuda.weighting.random_loss import RandomLoss
from mtl_cuda.weighting.revised_uncertainty import RevisedUncertainty
from mtl_cuda.weighting.soft_optimal_uncertainty import SoftOptimalUncertainty

__all__ = [
    "NAMES",
    "SCHEMES",
    "DynamicWeightAverage",
    "GeometricMean",
    "GradNorm",
    "RandomLoss",
    "RawLosses",
    "RevisedUncertainty",
    "SoftOptimalUncertainty",
    "Weighed",
    "Weighting",
    "check_name",
    "with_options",
]

SCHEMES: dict[str, type[Weighting]] = {
    "revised_uncertainty": RevisedUncertainty,
    "uw_so": SoftOptimalUncertainty,
    "dwa": DynamicWeightAverage,
    "rlw": RandomLoss,
    "gls": GeometricMean,
    "gradnorm": GradNorm,
}

#: Every name that `MultiTaskLoss` takes: the first two the op itself weighs by.
NAMES = ("uncertainty", "equal", *SCHEMES)


def check_name(name: str) -> None:
    """ValueError that lists the names and says which is nearest, where there is no such scheme."""
    if name in NAMES:
        return
    by_any_name = {known: known for known in NAMES}
    by_any_name |= {scheme.__name__.lower(): known for known, scheme in SCHEMES.items()}
    key = name.lower().replace("-", "_")
    nearest = difflib.get_close_matches(key, by_any_name, n=1, cutoff=0.0)[0]
    raise ValueError(
        f"weighting: expected one of {', '.join(NAMES)}, or a weight for each task, got {name!r}; "
        f"the nearest is {by_any_name[nearest]!r}"
    )


def with_options(name: str, options: Mapping[str, float]) -> str | Weighting:
    """The scheme of a name with options such as ``{"temperature": 1.0}``; the name if it has none.

    Raises:
        ValueError: no such scheme, an option that it does not have, or a value out of range.
    """
    check_name(name)
    known = list(inspect.signature(SCHEMES[name]).parameters) if name in SCHEMES else []
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"weighting_options: {name} has {', '.join(known) or 'none'}, got {', '.join(unknown)}"
        )
    return SCHEMES[name](**options) if options else name
