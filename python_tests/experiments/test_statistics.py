from __future__ import annotations

import math

import pytest
from scipy import stats

from mtl_cuda.experiments.findings import outcome
from mtl_cuda.experiments.statistics import Sample, Verdict, compare, student_t

BETTER, WORSE, OPEN = Verdict.BETTER, Verdict.WORSE, Verdict.OPEN


def test_mean_and_spread() -> None:
    sample = Sample.of([1.0, math.nan, 2.0, 6.0])
    assert sample.values == (1.0, 2.0, 6.0)
    assert sample.mean == 3.0
    assert sample.spread == pytest.approx(math.sqrt(7.0))
    assert math.isnan(Sample((1.0,)).spread)
    assert math.isnan(Sample(()).mean)
    assert not Sample(())


def test_student_t_is_never_below_the_exact_one() -> None:
    for freedom in (1, 1.7, 2, 3.99, 4, 7, 10, 15, 29, 31, 400):
        exact = stats.t.ppf(0.975, freedom)
        assert exact - 2e-3 <= student_t(freedom)
    assert student_t(4) == pytest.approx(stats.t.ppf(0.975, 4), abs=2e-3)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ((10.0, 10.2, 10.1), (12.0, 12.1, 12.3), BETTER),
        ((12.0, 12.1, 12.3), (10.0, 10.2, 10.1), WORSE),
        ((10.0, 12.0, 14.0), (11.0, 13.0, 15.0), OPEN),
        ((1.0, 1.0), (2.0, 2.0), BETTER),
        ((1.0, 1.0), (1.0, 1.0), OPEN),
        ((1.0,), (2.0, 2.1, 2.2), OPEN),
        ((), (2.0, 2.1), OPEN),
    ],
)
def test_an_error_is_compared_with_its_spread(
    a: tuple[float, ...], b: tuple[float, ...], verdict: Verdict
) -> None:
    assert compare(Sample(a), Sample(b), higher_is_better=False) is verdict
    opposite = {BETTER: WORSE, WORSE: BETTER, OPEN: OPEN}[verdict]
    assert compare(Sample(a), Sample(b), higher_is_better=True) is opposite


def test_the_test_is_welchs() -> None:
    a, b = (1.0, 1.3, 1.1, 1.6), (1.5, 1.9, 1.8)
    p = stats.ttest_ind(a, b, equal_var=False).pvalue
    for shift in (0.0, 0.1, 0.2, -0.1):
        moved = tuple(value + shift for value in b)
        p = stats.ttest_ind(a, moved, equal_var=False).pvalue
        if not 0.03 < p < 0.05:  # where the rounded degrees of freedom may decide
            expected = BETTER if p < 0.05 else OPEN
            assert compare(Sample(a), Sample(moved), higher_is_better=False) is expected


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((BETTER, BETTER), "holds"),
        ((BETTER, OPEN), "holds in part, and is undecided in the rest"),
        ((BETTER, WORSE, OPEN), "does not hold throughout, it depends on the task"),
        ((WORSE, OPEN), "does not hold"),
        ((OPEN, OPEN), "undecided, within the spread over seeds nothing is distinguishable"),
    ],
)
def test_a_claim_follows_from_its_verdicts(verdicts: tuple[Verdict, ...], said: str) -> None:
    assert outcome(verdicts) == said
