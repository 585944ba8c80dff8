"""How many steps fit into a given time."""

from __future__ import annotations

import time
from collections.abc import Callable

_WARM_UP_STEPS = 3  # the first steps start workers and fill caches
_FIRST_PLAN = 13
_PLAN_EVERY = 25
_TOLERANCE = 0.05


class TimeBudget:
    """Plans the number of steps from the time that steps took so far.

    The first plan comes after a few steps. It changes only when the machine turns out slower or
    faster by more than 5 %, so that the schedule which follows it seldom moves.

    Args:
        minutes: time from now until the last step.
        steps: the plan before the first steps were timed.
        most: never exceeded; by default `steps`.
        first: steps that were done before, at another time.
        clock: seconds on any scale.
    """

    def __init__(
        self,
        minutes: float,
        steps: int,
        most: int | None = None,
        first: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.steps = steps
        self._most = steps if most is None else most
        self._first = first
        self._clock = clock
        self._end = clock() + 60 * minutes
        self._warm = 0.0

    def plan(self, done: int) -> int:
        """Say that `done` steps are done, once after each step; returns how many there shall be."""
        now = self._clock()
        timed = done - self._first
        if timed == _WARM_UP_STEPS:
            self._warm = now
        elif timed >= _FIRST_PLAN and (timed - _FIRST_PLAN) % _PLAN_EVERY == 0:
            per_step = (now - self._warm) / (timed - _WARM_UP_STEPS)
            fits = done + max(0, int((self._end - now) / max(per_step, 1e-9)))
            if abs(fits - self.steps) > _TOLERANCE * self.steps:
                self.steps = min(self._most, fits)
        return self.steps
