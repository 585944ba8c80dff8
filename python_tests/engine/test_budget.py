from __future__ import annotations

from collections.abc import Callable

from mtl_cuda.engine.budget import TimeBudget


def run(seconds_of_step: Callable[[int], float], minutes: float, most: int) -> tuple[int, float]:
    """Steps that a loop takes under a budget, and the time they need, on a clock of our own."""
    now = 100.0
    budget = TimeBudget(minutes, most, clock=lambda: now)
    done = 0
    while done < budget.steps:
        now += seconds_of_step(done)
        done += 1
        budget.plan(done)
    return done, now - 100.0


def test_even_steps_fill_the_time() -> None:
    steps, seconds = run(lambda step: 0.5, minutes=1, most=10_000)
    assert steps == 120
    assert seconds == 60


def test_first_steps_do_not_count() -> None:
    steps, seconds = run(lambda step: 8.0 if step == 0 else 0.5, minutes=1, most=10_000)
    assert 55 <= seconds <= 61
    assert steps > 95


def test_a_machine_that_slows_down_ends_in_time() -> None:
    _, seconds = run(lambda step: 0.2 if step < 100 else 0.6, minutes=2, most=10_000)
    assert 114 <= seconds <= 132


def test_a_machine_that_speeds_up_uses_the_time() -> None:
    _, seconds = run(lambda step: 0.6 if step < 60 else 0.2, minutes=2, most=10_000)
    assert 108 <= seconds <= 126


def test_never_more_than_asked_for() -> None:
    assert run(lambda step: 0.001, minutes=5, most=40)[0] == 40


def test_too_little_time_stops_after_the_first_plan() -> None:
    assert run(lambda step: 10.0, minutes=0.5, most=1000)[0] == 13
