"""Label and client columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.data.columns import encode, number
from securefl.errors import DataError


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1))
def test_whole_numbers_keep_their_order_however_large(values: list[int]) -> None:
    ids, names = encode([str(value) for value in values], "label")
    assert [int(names[i]) for i in ids] == values
    assert list(names) == [str(value) for value in sorted(set(values))]


WORDS = st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=1)


# "INF" and "nan" spell numbers: alone they are measurements and refused, as the test below says.
@given(WORDS.filter(lambda words: any(number(word) is None for word in words)))
def test_words_are_indexed_in_sorted_order(words: list[str]) -> None:
    ids, names = encode(words, "label")
    assert [names[i] for i in ids] == words
    assert list(names) == sorted(set(words))


def test_one_word_makes_the_whole_column_words() -> None:
    assert encode(["10", "2", "ward"], "label")[1] == ("10", "2", "ward")


@pytest.mark.parametrize("cell", ["0.5", "nan", "inf", "INF", "Infinity"])
def test_a_measurement_is_no_label(cell: str) -> None:
    with pytest.raises(DataError, match="column 'y': expected whole numbers or words"):
        encode(["1", cell], "column 'y'")


def test_more_values_than_the_cap_are_refused() -> None:
    with pytest.raises(DataError, match="at most 65536"):
        encode([str(i) for i in range((1 << 16) + 1)], "label")


def test_python_number_spellings_that_people_do_not_write_are_words() -> None:
    assert number("1_0") is None
    assert number("0x10") is None
    assert number("1e3") == 1000.0
