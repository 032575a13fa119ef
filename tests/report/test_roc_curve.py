from __future__ import annotations

import numpy as np

from securefl.report import roc_curve

CURVE = (np.array([0.0, 0.01, 0.5, 1.0]), np.array([0.0, 0.1, 0.8, 1.0]))


def test_it_is_a_png_and_equal_curves_give_equal_bytes() -> None:
    first, second = (roc_curve("title", {"loss": CURVE, "lira": CURVE}, 1000) for _ in range(2))
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert first == second
    assert b"matplotlib" not in first


def test_another_curve_or_another_number_of_non_members_is_another_picture() -> None:
    drawn = roc_curve("t", {"a": CURVE}, 1000)
    assert drawn != roc_curve("t", {"a": (CURVE[0], CURVE[1] ** 2)}, 1000)
    assert drawn != roc_curve("t", {"a": CURVE}, 100)
