"""Numbers over seeds, and whether two of them differ by more than their spread."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

_T = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t, two-sided 95 %, for 1, 2, ... degrees of freedom."""
_T_BEYOND = ((30, 2.228), (math.inf, 2.042))  # below so many degrees of freedom: on the safe side


@dataclass(frozen=True)
class Sample:
    """One number of every seed."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Sample:
        """A sample of those values that are numbers."""
        return cls(tuple(value for value in values if math.isfinite(value)))

    def __len__(self) -> int:
        return len(self.values)

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def mean(self) -> float:
        """NaN without a value."""
        return sum(self.values) / len(self.values) if self.values else math.nan

    @property
    def spread(self) -> float:
        """The standard deviation over the seeds (n - 1); NaN of fewer than two."""
        if len(self.values) < 2:
            return math.nan
        squares = sum((value - self.mean) ** 2 for value in self.values)
        return math.sqrt(squares / (len(self.values) - 1))

    def times(self, factor: float) -> Sample:
        """The sample in another unit."""
        return Sample(tuple(factor * value for value in self.values))


class Verdict(Enum):
    """How one sample compares with another."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "not distinguishable"


def compare(a: Sample, b: Sample, higher_is_better: bool) -> Verdict:
    """Whether `a` is better than `b`: Welch's t-test of the means, two-sided, 95 %.

    The degrees of freedom are rounded down. With fewer than two values on a side the spread is
    unknown, and nothing is distinguishable.
    """
    if len(a) < 2 or len(b) < 2:
        return Verdict.OPEN
    difference = a.mean - b.mean
    va, vb = a.spread**2 / len(a), b.spread**2 / len(b)
    error = math.sqrt(va + vb)
    if error == 0.0:
        distinguishable = difference != 0.0
    else:
        freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
        distinguishable = abs(difference) > student_t(freedom) * error
    if not distinguishable:
        return Verdict.OPEN
    return Verdict.BETTER if (difference > 0) == higher_is_better else Verdict.WORSE


def student_t(freedom: float) -> float:
    """The two-sided 95 % point of Student's t, never below the exact one."""
    whole = max(1, math.floor(freedom + 1e-9))
    if whole <= len(_T):
        return _T[whole - 1]
    return next(t for below, t in _T_BEYOND if whole < below)
