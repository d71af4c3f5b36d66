"""The error of bad input: a ValueError of one clear line, which the command line ends with code 2."""

import pytest

from replicate.io.errors import InputError, shorten


def test_it_is_a_value_error_whose_text_is_the_line():
    with pytest.raises(ValueError, match=r"^a\.tsv: line 3: no tab; write LABEL<tab>TEXT$"):
        raise InputError("a.tsv: line 3: no tab; write LABEL<tab>TEXT")


def test_it_is_no_other_error():
    assert not issubclass(InputError, OSError | KeyError)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85"])
def test_a_name_with_line_ends_leaves_one_line(end):
    assert str(InputError(f"a{end}b.tsv: no such file")) == "a b.tsv: no such file"


def test_a_value_is_shortened_to_seventy_characters():
    assert shorten("x" * 68) == repr("x" * 68)
    assert shorten("x" * 69) == "'" + "x" * 66 + "..."


def test_a_value_that_cannot_be_shown_is_named_by_its_type():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shorten(deep) == "list too large to show"
    assert shorten(10**5000) == "int too large to show"
