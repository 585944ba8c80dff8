from __future__ import annotations

import base64
import math
import os
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_cuda.report import (
    ReportData,
    metric_rows,
    read_metrics_csv,
    summarise,
    write_report,
)
from mtl_cuda.report.chart import Line, line_chart, nice_ticks, running_mean
from mtl_cuda.report.data import significant

cv2 = pytest.importorskip("cv2", reason="OpenCV is missing")

METRICS = {
    "semantic/miou": 0.5,
    "semantic/pixel_accuracy": 0.8,
    "semantic/iou/road": 0.9,
    "instance/mean_error": 4.0,
    "depth/mean_error": 0.02,
}
BASELINE = {"semantic/miou": 0.1, "instance/mean_error": 8.0, "depth/mean_error": 0.01}
HOSTILE = "<script>alert('x')</script> & \"quoted\""


def full_report() -> ReportData:
    steps = [float(step) for step in range(0, 1000, 10)]
    train = {"step": steps, "total": [1 - step / 900 for step in steps]}
    for task in ("semantic", "depth"):
        train |= {f"{kind}/{task}": [0.5] * len(steps) for kind in ("loss", "sigma", "weight")}
    rows = metric_rows(METRICS, BASELINE, "1/m")
    return ReportData(
        title=f"Title {HOSTILE}",
        headline=f"Headline {HOSTILE}",
        metrics=rows,
        train=train,
        validation={"step": [500.0, 1000.0], "semantic/miou": [0.3, 0.5]},
        depth_unit="1/m",
        class_iou={f"road {HOSTILE}": 0.9, "train": math.nan},
        class_colours={f"road {HOSTILE}": (1, 2, 3)},
        panels=[(f"panel {HOSTILE}", np.full((4, 6, 3), (255, 0, 0), np.uint8))],
        configuration=f"title: {HOSTILE}",
        environment={f"key {HOSTILE}": f"value {HOSTILE}"},
        notes=[f"note {HOSTILE}"],
    )


class Page(HTMLParser):
    """Collects tags, text, and whether every element is closed."""

    VOID = ("meta", "img", "br", "!doctype")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page(tmp_path: Path) -> tuple[str, Page]:
    write_report(tmp_path / "report.html", full_report())
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_page_is_well_formed_and_complete(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert parsed.open == []
    for words in ("Mean IoU", "50.0", "10.0", "+40.0 points", "50 % less", "100 % more", "absent"):
        assert words in parsed.text
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 6  # total, sigma, weight, two raw losses, one validation metric
    for chart in charts:
        ElementTree.fromstring(chart)


def test_page_is_self_contained(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object"}
    for tag, attributes in parsed.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:"), tag
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text


def test_everything_is_escaped(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert "<script" not in text
    assert parsed.text.count(HOSTILE) >= 7
    images = [attributes for tag, attributes in parsed.tags if tag == "img"]
    assert images[0]["alt"] == f"panel {HOSTILE}"


def test_panels_are_png(page: tuple[str, Page]) -> None:
    source = next(attributes["src"] for tag, attributes in page[1].tags if tag == "img")
    assert source is not None
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture[0, 0].tolist() == [0, 0, 255]  # BGR: the colours were not swapped


def test_empty_report(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", ReportData("title", summarise([])))
    assert "<section" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_report_of_a_training_that_diverged(tmp_path: Path) -> None:
    nan = [math.nan] * 3
    report = ReportData(
        "title",
        "headline",
        metric_rows(dict.fromkeys(METRICS, math.nan), {}, None),
        {"step": [1.0, 2.0, 3.0], "total": nan, "loss/depth": [1.0, math.inf, math.nan]},
        {"step": [1.0, 2.0, 3.0], "depth/mean_error": nan},
    )
    write_report(tmp_path / "report.html", report)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'd="[^"]*(nan|inf)', text)


def test_a_bad_panel_leaves_the_old_report(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"panels: .*float64"):
        write_report(path, ReportData("t", "h", panels=[("p", np.zeros((2, 2, 3)))]))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_rows_and_sentence() -> None:
    rows = {row.key: row for row in metric_rows(METRICS, BASELINE, "1/m")}
    assert set(rows) == set(METRICS) - {"semantic/iou/road"}
    assert (rows["semantic/miou"].value, rows["semantic/miou"].baseline) == (50.0, 10.0)
    assert math.isnan(rows["semantic/pixel_accuracy"].baseline)
    assert summarise(list(rows.values())) == (
        "Mean IoU 50.0 % (constant prediction: 10.0 %); "
        "instance vectors, mean error 4.00 px (8.00 px); "
        "inverse depth, mean error 0.0200 1/m (0.0100 1/m)."
    )
    with pytest.raises(ValueError, match="semantic/dice"):
        metric_rows({"semantic/dice": 1.0}, {}, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (1234.5, "1234"),
        (12.345, "12.3"),
        (-0.00012345, "-0.000123"),
        (3e-9, "3.00e-09"),
    ],
)
def test_significant(value: float, text: str) -> None:
    assert significant(value) == text


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_read_metrics(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "metrics.csv",
        "step,split,total,loss/depth,lr,depth/mean_error\n"
        "1,train,2.5,nan,0.1,\n2,train,-1e-3,4,0.1,\n2,val,,,,0.5\n3,train,1\n4,tra",
    )
    train = read_metrics_csv(path)
    assert list(train) == ["step", "total", "loss/depth", "lr"]
    assert train["step"] == [1.0, 2.0, 3.0]
    assert train["total"] == [2.5, -1e-3, 1.0]
    assert train["loss/depth"] == pytest.approx([math.nan, 4.0, math.nan], nan_ok=True)
    assert read_metrics_csv(path, "val") == {"step": [2.0], "depth/mean_error": [0.5]}
    assert read_metrics_csv(path, "test") == {}


def test_read_metrics_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    with pytest.raises(FileNotFoundError):
        read_metrics_csv(path)
    with pytest.raises(ValueError, match="'split'"):
        read_metrics_csv(write_csv(path, "step,total\n1,2\n"))
    with pytest.raises(ValueError, match="'step'"):
        read_metrics_csv(write_csv(path, ""))
    with pytest.raises(ValueError, match=r"metrics.csv:3: .*'total'.*'abc'"):
        read_metrics_csv(write_csv(path, "step,split,total\n1,train,2\n2,train,abc\n"))


@settings(deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=60),
    st.booleans(),
    st.booleans(),
)
def test_any_line_makes_a_chart(values: list[float], smooth: bool, log: bool) -> None:
    line = Line("<a&b>", [float(step) for step in range(len(values))], values)
    chart = line_chart("t <&>", [line, line], smooth=smooth, log=log)
    ElementTree.fromstring(chart)
    assert "nan" not in chart
    assert not re.search(r"\binf\b", chart)


def test_curve_breaks_at_nan_and_stays_inside() -> None:
    chart = line_chart("t", [Line("a", [0, 1, 2, 3, 4], [1.0, 2.0, math.nan, 3.0, 4.0])])
    path = re.search(r'class="line c0" d="([^"]*)"', chart)
    assert path is not None
    assert path[1].count("M") == 2
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", path[1])]
    assert all(0 <= number <= 344 for number in numbers)


def test_long_curves_are_thinned() -> None:
    line = Line("a", list(range(100_000)), list(np.sin(np.arange(100_000) / 1e4)))
    assert len(line_chart("t", [line], smooth=True)) < 30_000


def test_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="2 x for 1 y"):
        line_chart("t", [Line("a", [0, 1], [1.0])])


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_within(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert 1 <= len(ticks) <= 6
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)


def test_running_mean_skips_gaps() -> None:
    mean = running_mean(np.array([1.0, np.nan, 3.0, 5.0]), 3)
    assert mean == pytest.approx([1.0, math.nan, 4.0, 4.0], nan_ok=True)
