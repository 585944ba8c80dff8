"""A report as one HTML file: no scripts, nothing fetched, readable in light and dark."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable
from html import escape

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2, write_bytes
from mtl_cuda.report.chart import Line, line_chart
from mtl_cuda.report.confusion import confusion_table
from mtl_cuda.report.data import MetricRow, ReportData, significant
from mtl_cuda.report.style import STYLE

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SPEED = {
    "lr": "Learning rate",
    "images_per_s": "Images per second",
    "data_wait": "Time waiting for data [%]",
}
_TRAINING_NOTE = "Over training steps; the thick line is a running mean of the thin one."
_VALIDATION_NOTE = "Over training steps, on the validation images."


def write_report(path: str | os.PathLike[str], report: ReportData) -> None:
    """Write the page; the file appears whole or not at all.

    Raises:
        ValueError: a panel is no uint8 [H, W, 3].
        OSError: the file cannot be written.
    """
    write_bytes(path, render(report).encode("utf-8"))


def render(report: ReportData) -> str:
    """The page as a string; every text of `report` is escaped."""
    sections = [
        _section("Result", [_metrics_table(report.metrics), *_paragraphs(report.notes)]),
        _section("Validation images", [_figure(*panel) for panel in report.panels]),
        _section("IoU per class", [_class_bars(report)]),
        _section("Confusion", [_confusion(report)]),
        _section("Training", _charts(_training_charts(report), _TRAINING_NOTE)),
        _section("Validation", _charts(_validation_charts(report), _VALIDATION_NOTE)),
        _section("Details", [_configuration(report.configuration), _environment(report)]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(report.title)}</h1>\n"
        f'<p class="headline">{escape(report.headline)}</p></header>\n'
        + "".join(sections)
        + "</main>\n</body>\n</html>\n"
    )


def _section(title: str, parts: Iterable[str]) -> str:
    content = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n" if content else ""


def _paragraphs(texts: Iterable[str]) -> list[str]:
    return [f'<p class="soft">{escape(text)}</p>' for text in texts]


def _metrics_table(rows: Iterable[MetricRow]) -> str:
    body = "\n".join(_metrics_row(row) for row in rows)
    if not body:
        return ""
    return (
        '<div class="scroll"><table>\n<thead><tr><th></th><th></th><th class="number">network</th>'
        '<th class="number">constant prediction</th><th class="number">difference</th>'
        f"</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _metrics_row(row: MetricRow) -> str:
    gain = row.value - row.baseline
    worse = " worse" if (gain < 0 if row.higher_is_better else gain > 0) else ""
    return (
        f"<tr{' class=main' if row.in_headline else ''}><td>{escape(row.label)}</td>"
        f'<td class="soft">{escape(row.unit)}</td>'
        f'<td class="number">{_number(row.value, row.unit)}</td>'
        f'<td class="number soft">{_number(row.baseline, row.unit)}</td>'
        f'<td class="number{worse}">{_difference(row)}</td></tr>'
    )


def _number(value: float, unit: str) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.1f}" if unit == "%" else significant(value)


def _difference(row: MetricRow) -> str:
    """Points for what is in percent, else the share of the constant's error."""
    gain = row.value - row.baseline
    if not math.isfinite(gain):
        return ""
    if row.unit == "%":
        return f"{gain:+.1f} points".replace("-", "−")
    if row.baseline == 0:
        return ""
    share = 100 * gain / row.baseline
    return f"{abs(share):.0f} % {'less' if share < 0 else 'more'}"


def _figure(caption: str, picture: npt.NDArray[np.uint8]) -> str:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(
            f"panels: expected uint8 [H, W, 3], got {picture.dtype} {list(picture.shape)} "
            f"for {caption!r}"
        )
    cv2 = require_cv2()
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"panels: could not encode {caption!r} as PNG")
    source = base64.b64encode(data.tobytes()).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{source}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _class_bars(report: ReportData) -> str:
    if not report.class_iou:
        return ""
    bars = "\n".join(
        _class_bar(name, iou, report.class_colours.get(name))
        for name, iou in report.class_iou.items()
    )
    return f'<div class="classes">\n{bars}\n</div>'


def _class_bar(name: str, iou: float, colour: tuple[int, int, int] | None) -> str:
    absent = math.isnan(iou)
    share = 0.0 if absent else 100.0 * iou
    fill = "" if colour is None else f' style="background:rgb({",".join(map(str, colour))})"'
    return (
        f'<div class="class"><span class="swatch"{fill}></span><span>{escape(name)}</span>'
        f'<span class="bar"><i style="width:{share:.1f}%"></i></span>'
        f"<b>{'absent' if absent else f'{share:.1f} %'}</b></div>"
    )


def _confusion(report: ReportData) -> str:
    if report.confusion is None:
        return ""
    names, counts = report.confusion
    return confusion_table(names, counts, report.class_colours)


def _charts(charts: list[str], note: str) -> list[str]:
    if not charts:
        return []
    return [*_paragraphs([note]), '<div class="charts">', *charts, "</div>"]


def _training_charts(report: ReportData) -> list[str]:
    """The total, sigmas and weights of all tasks together, and the raw loss of each."""
    columns = report.train
    if not columns:
        return []
    steps = columns["step"]
    tasks = [name.removeprefix("loss/") for name in columns if name.startswith("loss/")]
    charts = []
    if "total" in columns:
        total = Line("total", steps, columns["total"], len(tasks))
        charts.append(line_chart("Total loss", [total], smooth=True))
    for prefix, title in (("sigma", "σ of each task"), ("weight", "Weight in the total")):
        lines = [
            Line(task, steps, columns[f"{prefix}/{task}"], colour)
            for colour, task in enumerate(tasks)
            if f"{prefix}/{task}" in columns
        ]
        if lines:
            charts.append(line_chart(title, lines, log=True))
    for colour, task in enumerate(tasks):
        line = Line(task, steps, columns[f"loss/{task}"], colour)
        charts.append(line_chart(f"Raw loss, {task}", [line], smooth=True))
    for column, title in _SPEED.items():
        if column in columns:
            factor = 100.0 if column == "data_wait" else 1.0
            values = [factor * value for value in columns[column]]
            charts.append(line_chart(title, [Line(column, steps, values, len(tasks))]))
    return charts


def _validation_charts(report: ReportData) -> list[str]:
    """The main metric of each task, with the constant prediction as a dashed line."""
    columns, charts = report.validation, []
    tasks = [name.removeprefix("loss/") for name in report.train if name.startswith("loss/")]
    for row in report.metrics:
        if row.in_headline and row.key in columns:
            values = [value * row.factor for value in columns[row.key]]
            task = row.key.split("/")[0]
            colour = tasks.index(task) if task in tasks else 0
            line = Line(row.label, columns["step"], values, colour)
            charts.append(line_chart(f"{row.label} [{row.unit}]", [line], reference=row.baseline))
    return charts


def _configuration(text: str) -> str:
    if not text:
        return ""
    return f"<details><summary>Configuration</summary><pre>{escape(text)}</pre></details>"


def _environment(report: ReportData) -> str:
    if not report.environment:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
        for name, value in report.environment.items()
    )
    return f"<details><summary>Environment</summary><table>{rows}</table></details>"
