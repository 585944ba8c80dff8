"""Line charts as inline SVG, coloured by the style sheet of the page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT = 344, 208
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 34, 26  # room for tick labels and title
COLOURS = 6
"""Classes c0, c1, ... of lines that the style sheet has colours for."""
_MOST_POINTS = 400
_MARKED_POINTS = 25
_SMOOTHED_OVER = 25  # parts of the whole


@dataclass(frozen=True)
class Line:
    """A curve: a name for the legend, points (NaN breaks the line), and a colour 0, 1, ..."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    smooth: bool = False,
    log: bool = False,
    reference: float = math.nan,
) -> str:
    """An SVG element with axes, ticks, and a legend where there is more than one line.

    Args:
        title: above the chart, with the unit.
        lines: at least one finite point each, or they are left out.
        smooth: draw a running mean, and the values themselves faintly behind it.
        log: logarithmic heights; values that are not positive are left out.
        reference: height of a dashed line, such as that of the constant prediction.
    """
    shown = [(line, *_reduced(line, log)) for line in lines]
    shown = [(line, x, y) for line, x, y in shown if np.isfinite(y).any()]
    parts = [f'<text class="title" x="0" y="12">{html.escape(title)}</text>']
    if shown:
        frame = _Frame([x for _, x, _ in shown], [y for *_, y in shown], reference, smooth)
        parts += _y_axis(frame, log) + _x_axis(frame)
        for line, x, y in shown:
            parts += _curve(frame, line, x, y, smooth)
        if math.isfinite(reference):
            parts.append(_reference(frame, reference))
        if len(shown) > 1:
            parts += _legend([line for line, _, _ in shown])
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def nice_ticks(low: float, high: float, at_most: int = 5) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, that lie in [low, high]."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / at_most))
    step = next(f * power for f in (1, 2, 5, 10, 20) if span / (f * power) <= at_most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def running_mean(values: Floats, window: int) -> Floats:
    """The mean of the finite values within a centred window; NaN where the value itself is."""
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    start = np.maximum(np.arange(len(values)) - window // 2, 0)
    end = np.minimum(np.arange(len(values)) + window // 2 + 1, len(values))
    mean = (sums[end] - sums[start]) / np.maximum(counts[end] - counts[start], 1)
    return np.where(finite, mean, np.nan)


class _Frame:
    """Maps values to places in the drawing."""

    def __init__(self, xs: list[Floats], ys: list[Floats], reference: float, robust: bool) -> None:
        x, y = np.concatenate(xs), np.concatenate(ys)
        y = y[np.isfinite(y)]
        ends = np.percentile(y, [0.5, 99.5] if robust and len(y) > 200 else [0, 100])
        self.x = (min(0.0, float(x.min())), float(x.max()))
        low, high = float(ends[0]), float(ends[1])
        if math.isfinite(reference):
            low, high = min(low, reference), max(high, reference)
        if 0 < low < 0.4 * high:  # near enough to zero to show it
            low = 0.0
        margin = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
        self.y = (low if low == 0 else low - margin, high + margin)

    def left(self, x: Floats | float) -> Floats | float:
        low, high = self.x
        return LEFT + (x - low) / ((high - low) or 1.0) * (WIDTH - LEFT - RIGHT)

    def top(self, y: Floats | float) -> Floats | float:
        low, high = self.y
        return (
            HEIGHT - BOTTOM - (np.clip(y, low, high) - low) / (high - low) * (HEIGHT - BOTTOM - TOP)
        )


def _reduced(line: Line, log: bool) -> tuple[Floats, Floats]:
    """The points (y as log10), averaged in groups where there are more than can be seen."""
    x, y = np.asarray(line.x, np.float64), np.asarray(line.y, np.float64)
    if len(x) != len(y):
        raise ValueError(f"line {line.name!r}: {len(x)} x for {len(y)} y")
    size = -(-len(x) // _MOST_POINTS)
    if size > 1:
        starts = np.arange(0, len(x), size)
        counts = np.diff(np.append(starts, len(x)))
        x, y = (np.add.reduceat(values, starts) / counts for values in (x, y))
    y = np.where(np.isfinite(y), y, np.nan)
    return x, np.log10(y, out=np.full_like(y, np.nan), where=y > 0) if log else y


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers in [10**low, 10**high]: 1, 2, 5 per decade, or fewer over many decades."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    wide = high - low > 2
    every = max(1, len(decades) // 5)
    factors = (1.0,) if wide else (1.0, 2.0, 5.0)
    ticks = [f * 10.0**d for d in decades if not wide or d % every == 0 for f in factors]
    return [tick for tick in ticks if low <= math.log10(tick) <= high]


def _y_axis(frame: _Frame, log: bool) -> list[str]:
    parts = []
    ticks = log_ticks(*frame.y) if log else nice_ticks(*frame.y)
    for tick in ticks:
        y = frame.top(math.log10(tick) if log else tick)
        label = f"{tick:.6g}" if log else _tick_label(tick, ticks)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 3.5:.1f}">{label}</text>')
    return parts


def _x_axis(frame: _Frame) -> list[str]:
    bottom = HEIGHT - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>']
    ticks = nice_ticks(*frame.x, at_most=4)
    for tick in ticks:
        x, label = frame.left(tick), _tick_label(tick, ticks)
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        parts.append(f'<text class="tick middle" x="{x:.1f}" y="{bottom + 16}">{label}</text>')
    return parts


def _tick_label(tick: float, ticks: Sequence[float]) -> str:
    """As many decimals as the distance of the ticks needs; thousands set apart by a thin space."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(tick) or 1.0
    if step < 1e-4 or step >= 1e7:
        return f"{tick:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{tick:,.{decimals}f}".replace(",", "\u2009").replace("-", "−")


def _curve(frame: _Frame, line: Line, x: Floats, y: Floats, smooth: bool) -> list[str]:
    colour = f"c{line.colour % COLOURS}"
    if not smooth:
        return [_path(frame, x, y, f"line {colour}"), *_marks(frame, x, y, colour)]
    mean = running_mean(y, max(1, len(y) // _SMOOTHED_OVER))
    return [_path(frame, x, y, f"raw {colour}"), _path(frame, x, mean, f"line {colour}")]


def _path(frame: _Frame, x: Floats, y: Floats, style: str) -> str:
    commands, pen = [], "M"
    for left, top in zip(np.atleast_1d(frame.left(x)), np.atleast_1d(frame.top(y))):
        if math.isnan(top):
            pen = "M"
        else:
            commands.append(f"{pen}{left:.1f} {top:.1f}")
            pen = "L"
    return f'<path class="{style}" d="{"".join(commands)}"/>'


def _marks(frame: _Frame, x: Floats, y: Floats, colour: str) -> list[str]:
    if len(x) > _MARKED_POINTS:
        return []
    return [
        f'<circle class="mark {colour}" cx="{frame.left(a):.1f}" cy="{frame.top(b):.1f}" r="2.6"/>'
        for a, b in zip(x.tolist(), y.tolist())
        if math.isfinite(b)
    ]


def _reference(frame: _Frame, height: float) -> str:
    y, right = frame.top(height), WIDTH - RIGHT
    below = y < TOP + 14
    return (
        f'<path class="reference" d="M{LEFT} {y:.1f}H{right}"/>'
        f'<text class="tick end" x="{right}" y="{y + (12 if below else -5):.1f}">'
        "constant prediction</text>"
    )


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, x = [], 0.0
    for line in lines:
        name = html.escape(line.name)
        parts.append(f'<path class="line c{line.colour % COLOURS}" d="M{x:.0f} 23h12"/>')
        parts.append(f'<text class="tick" x="{x + 16:.0f}" y="26.5">{name}</text>')
        x += 30 + 5.6 * len(line.name)
    return parts
