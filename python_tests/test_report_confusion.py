from __future__ import annotations

import re

import numpy as np
import pytest

from mtl_cuda.report.confusion import confusion_table


def test_rows_are_in_percent_of_the_true_class() -> None:
    counts = np.array([[90, 10, 0], [1, 2, 1], [0, 0, 0]], np.int64)
    table = confusion_table(["road", "a<b"], counts[:2], {"road": (1, 2, 3)})
    assert re.findall(r'title="([^"]*)"', table) == [
        "road taken for road: 90.0 %",
        "road taken for a&lt;b: 10.0 %",
        "a&lt;b taken for road: 25.0 %",
        "a&lt;b taken for a&lt;b: 50.0 %",
        "a&lt;b taken for no class: 25.0 %",
    ]
    assert table.count('class="right') == 2
    assert "rgb(1,2,3)" in table
    assert "<b>" not in table


def test_the_column_of_no_class_appears_where_it_counts() -> None:
    table = confusion_table(["a", "b"], np.array([[1_500_000, 0, 0], [0, 0, 0]]), {})
    assert "no class" not in table
    assert "1.5 M" in table
    assert table.count("<td></td>") == 1 + 3  # the corner; what is zero, an absent class too


def test_nothing_counted_and_wrong_shapes() -> None:
    assert confusion_table(["a"], np.zeros((1, 2), np.int64), {}) == ""
    with pytest.raises(ValueError, match=r"expected counts \[1, 2\], got \[1, 1\]"):
        confusion_table(["a"], np.zeros((1, 1), np.int64), {})
