"""Points to cluster: every kind that has told correct implementations from nearly correct ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RADII = (0.05, 0.1, 0.3, 1.0, 2.0, 2**0.5, 5**0.5, 100.0)


@dataclass(frozen=True)
class PointCase:
    name: str
    points: np.ndarray  # float64 [N,2]
    eps: float
    min_samples: int


def _uniform(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform(0, 10, (count, 2))


def _integers(rng: np.random.Generator, count: int) -> np.ndarray:
    """Ties at exactly eps, and duplicates."""
    return rng.integers(0, max(2, int(count**0.5)), (count, 2)).astype(np.float64)


def _blobs(rng: np.random.Generator, count: int) -> np.ndarray:
    centres = rng.uniform(0, 50, (4, 2))
    return centres[rng.integers(0, 4, count)] + rng.normal(0, 1, (count, 2))


def _collinear(rng: np.random.Generator, count: int) -> np.ndarray:
    along = rng.uniform(0, 20, count)
    return np.stack([along, 2 * along], axis=1)


def _duplicates(rng: np.random.Generator, count: int) -> np.ndarray:
    places = rng.uniform(0, 5, (max(1, count // 5), 2))
    return places[rng.integers(0, len(places), count)]


def _far_away(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform(0, 10, (count, 2)) + 2000.1


def _far_lattice(rng: np.random.Generator, count: int) -> np.ndarray:
    """Ties that rounding breaks, each in its own way."""
    return rng.integers(0, max(2, int(count**0.5)), (count, 2)) * 0.1 - 2000.1


KINDS = (_uniform, _integers, _blobs, _collinear, _duplicates, _far_away, _far_lattice)


def point_cases(number: int, sizes: tuple[int, ...], seed: int) -> list[PointCase]:
    """Seeded cases, kinds in turn."""
    rng = np.random.default_rng(seed)
    cases = []
    for index in range(number):
        kind = KINDS[index % len(KINDS)]
        count = int(rng.choice(sizes))
        min_samples = int(rng.choice([1, 2, 3, 4, 8, 30, count, count + 1]))
        eps = float(rng.choice(RADII))
        name = f"{index}: {kind.__name__}, N={count}, eps={eps}, min_samples={min_samples}"
        cases.append(PointCase(name, kind(rng, count), eps, min_samples))
    return cases
