"""Sentences from numbers: whether a claim holds, and what is better in what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mtl_cuda.experiments.measures import Measure
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.statistics import Verdict


def finding(
    text: str, results: Results, a: str, b: str | Mapping[str, str], by: Sequence[Measure]
) -> str:
    """Say whether "a is better than b" holds, and the numbers.

    Such as "Learned σ is better than equal weights: holds in part, and is undecided in the rest.
    Better in Mean IoU (33.1 ± 0.4 against 30.0 ± 0.2 %); not distinguishable in ...".

    Args:
        text: the claim in words.
        results: of the experiment.
        a: name of a variant.
        b: name of the one that it is compared with, or one for each task.
        by: the measures; one that either variant lacks is left out.
    """
    verdicts = compared(results, a, b, by)
    if not verdicts:
        return f"{text}: undecided, there are no finished runs to compare."
    parts = []
    for verdict in Verdict:
        found = [
            f"{measure.label} ({measure.show(measure.sample(results, a))} against "
            f"{measure.show(measure.sample(results, _other(b, measure)))} {measure.unit})"
            for measure, its in verdicts.items()
            if its is verdict
        ]
        if found:
            parts.append(f"{verdict.value} in {listed(found)}")
    numbers = "; ".join(parts)
    return f"{text}: {outcome(verdicts.values())}. {numbers[0].upper()}{numbers[1:]}."


def compared(
    results: Results, a: str, b: str | Mapping[str, str], by: Sequence[Measure]
) -> dict[Measure, Verdict]:
    """The verdict of every measure that both variants have."""
    return {
        measure: measure.compare(results, a, _other(b, measure))
        for measure in by
        if measure.sample(results, a) and measure.sample(results, _other(b, measure))
    }


def outcome(verdicts: Collection[Verdict]) -> str:
    """Whether "a is better than b" holds by the verdicts of all measures.

    It holds where a is better in all; in part where it is better in some and worse in none; not
    throughout where it is better in some and worse in others; not where it is worse in some and
    better in none; and is undecided where nothing is distinguishable.
    """
    better, worse = Verdict.BETTER in verdicts, Verdict.WORSE in verdicts
    if better and worse:
        return "does not hold throughout, it depends on the task"
    if worse:
        return "does not hold"
    if not better:
        return "undecided, within the spread over seeds nothing is distinguishable"
    if Verdict.OPEN in verdicts:
        return "holds in part, and is undecided in the rest"
    return "holds"


def listed(parts: Sequence[str]) -> str:
    """The parts with commas and an "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _other(b: str | Mapping[str, str], measure: Measure) -> str:
    return b if isinstance(b, str) else b[measure.task]
