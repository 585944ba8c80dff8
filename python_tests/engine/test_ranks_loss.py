"""Two processes learn what one learns from the joined batch: losses, weightings, gradients."""

from __future__ import annotations

import pytest
import torch
from ranks_runs import learn_all, on_ranks
from torch import Tensor

from mtl_cuda.engine.distributed import ALONE
from mtl_cuda.weighting import NAMES

Found = dict[str, dict[str, Tensor]]
TOLERANCE = {"float64": 1e-11, "float32": 1e-6}


@pytest.fixture(scope="module")
def learned() -> tuple[Found, list[Found]]:
    """What one process has learned, and what two have."""
    torch.set_num_threads(1)
    return learn_all(ALONE), on_ranks(learn_all)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", [*NAMES, "fixed", "likelihoods"])
def test_two_processes_equal_one(learned: tuple[Found, list[Found]], name: str, dtype: str) -> None:
    alone, together = learned[0][f"{name}/{dtype}"], [one[f"{name}/{dtype}"] for one in learned[1]]
    for found in together:
        assert found.keys() == alone.keys()
        for key, value in alone.items():
            bound = TOLERANCE[dtype]
            torch.testing.assert_close(
                found[key], value, rtol=bound, atol=bound, equal_nan=True, msg=key
            )
    for key, value in together[0].items():
        torch.testing.assert_close(value, together[1][key], rtol=0, atol=0, equal_nan=True)


def test_the_batches_make_a_difference(learned: tuple[Found, list[Found]]) -> None:
    """Depth is nowhere in step 2, and so has no loss there; elsewhere every task has one."""
    alone = learned[0]["equal/float64"]
    for step in range(5):
        for task in ("semantic", "instance", "depth"):
            absent = step == 2 and task == "depth"
            assert (alone[f"{step}/valid/{task}"] == 0) == absent
            assert (alone[f"{step}/losses/{task}"] == 0) == absent
