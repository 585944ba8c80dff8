"""The numbers of the paper's Table 1.

Kendall, Gal, Cipolla, CVPR 2018 (arXiv 1705.07115), on tiny Cityscapes (128 x 256), in %, px, px.
"""

DATA = "tiny Cityscapes"
UNITS = {"semantic": ("%", 1), "instance": ("px", 2), "depth": ("px", 3)}
"""By task, with the decimals that the paper prints."""

TABLE1: dict[str, dict[str, float]] = {
    "single-semantic": {"semantic": 59.4},
    "single-instance": {"instance": 4.61},
    "single-depth": {"depth": 0.640},
    "equal": {"semantic": 50.1, "instance": 3.79, "depth": 0.592},
    "searched": {"semantic": 62.8, "instance": 3.61, "depth": 0.549},
    "learned-semantic-instance": {"semantic": 61.0, "instance": 3.42},
    "learned-semantic-depth": {"semantic": 62.7, "depth": 0.533},
    "learned-instance-depth": {"instance": 3.54, "depth": 0.539},
    "learned": {"semantic": 63.4, "instance": 3.50, "depth": 0.522},
}
"""IoU of semantics in %, errors of instance vectors and of inverse depth in px, by row."""
