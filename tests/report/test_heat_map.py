"""The heat map of a table of shares."""

from __future__ import annotations

from securefl.report import heat_map

TABLE = [[0.9, 0.1], [0.8, None]]


def test_it_is_a_png_and_equal_tables_give_equal_bytes() -> None:
    first, second = (heat_map("title", ["mean", "median"], ["none", "foe"], TABLE) for _ in range(2))
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert first == second


def test_another_number_is_another_picture() -> None:
    assert heat_map("t", ["a"], ["b"], [[0.5]]) != heat_map("t", ["a"], ["b"], [[0.6]])


def test_nothing_of_the_machine_stands_in_the_file() -> None:
    assert b"matplotlib" not in heat_map("t", ["a"], ["b"], [[0.5]])
