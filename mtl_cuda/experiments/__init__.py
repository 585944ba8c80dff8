"""The paper's experiments: what is trained, and what its numbers say in words, table and figure.

An experiment is one file here (`likelihoods.py` is the shortest): the variants of a configuration
that are trained, and a function that makes a `Summary` of their results. Everything else is shared:
`plan` (variants to runs), `runner` and `pool` (train those that are missing), `results` (read their
metrics.csv), `statistics` and `findings` (sentences from numbers), `table` and `figure`.
"""

from mtl_cuda.experiments import likelihoods, sigma, sweep, table1, weightings
from mtl_cuda.experiments.experiment import Experiment, Summary

__all__ = ["EXPERIMENTS", "Experiment", "Summary"]

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (table1, sweep, sigma, likelihoods, weightings)
}
"""Every experiment by its name on the command line."""
