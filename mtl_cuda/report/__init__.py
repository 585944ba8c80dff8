"""A training on one page: metrics, pictures, curves, in a single HTML file."""

from mtl_cuda.report.data import MetricRow, ReportData, metric_rows, summarise
from mtl_cuda.report.history import read_metrics_csv
from mtl_cuda.report.page import write_report

__all__ = [
    "MetricRow",
    "ReportData",
    "metric_rows",
    "read_metrics_csv",
    "summarise",
    "write_report",
]
