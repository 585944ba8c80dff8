"""The confusion matrix of a report, as a table of shaded cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

_LIGHTEST = 0.005  # shares below are left blank: half a percent
_DARK_FROM = 0.55  # shares above have light text

Colours = Mapping[str, tuple[int, int, int]]


def confusion_table(
    class_names: Sequence[str], counts: npt.NDArray[np.int64], colours: Colours
) -> str:
    """What the pixels of each true class were taken for, in percent of them.

    Args:
        class_names: C names.
        counts: pixels [C, C + 1]; row = true class, column = predicted one, the last for none.
        colours: of the classes, by name.

    Returns:
        HTML; empty where no pixel was counted.

    Raises:
        ValueError: `counts` has another shape.
    """
    classes = len(class_names)
    if counts.shape != (classes, classes + 1):
        raise ValueError(
            f"confusion: expected counts [{classes}, {classes + 1}], got {list(counts.shape)}"
        )
    totals = counts.sum(axis=1)
    if not totals.any():
        return ""
    lost = counts[:, -1].any()
    shown = counts if lost else counts[:, :-1]
    names = [*class_names, "no class"] if lost else list(class_names)
    heads = "".join(
        f'<th scope="col"><span>{_swatch(colours.get(name))}{escape(name)}</span></th>'
        for name in names
    )
    shares = shown / np.maximum(totals, 1)[:, None]
    rows = "\n".join(
        f'<tr><th scope="row">{_swatch(colours.get(name))}{escape(name)}</th>'
        + "".join(
            _cell(share, name, other, row == column)
            for column, (share, other) in enumerate(zip(shares[row], names))
        )
        + f'<td class="pixels">{_pixels(int(totals[row]))}</td></tr>'
        for row, name in enumerate(class_names)
    )
    return (
        '<p class="soft">Each row: what the pixels of that class were taken for, in percent of '
        "them, on the validation images. The diagonal is right.</p>\n"
        '<div class="scroll"><table class="confusion">\n'
        f'<thead><tr><td></td>{heads}<th scope="col" class="pixels">pixels</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(share: float, name: str, other: str, right: bool) -> str:
    if share < _LIGHTEST:
        return "<td></td>"
    kind = ("right" if right else "wrong") + (" dark" if share > _DARK_FROM else "")
    title = escape(f"{name} taken for {other}: {100 * share:.1f} %")
    # Square root: a confusion of few percent must be seen.
    shade = f"--shade:{100 * share**0.5:.0f}%"
    return f'<td class="{kind}" style="{shade}" title="{title}">{100 * share:.0f}</td>'


def _pixels(count: int) -> str:
    """A count in three digits: 12.3 M, 456 k, 78."""
    for size, unit in ((1_000_000, " M"), (1_000, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def _swatch(colour: tuple[int, int, int] | None) -> str:
    fill = "" if colour is None else f' style="background:rgb({",".join(map(str, colour))})"'
    return f'<i class="swatch"{fill}></i>'
