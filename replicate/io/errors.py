"""The error for bad input, which a user can fix, and how its message shows a value."""

__all__ = ["InputError", "shorten"]


class InputError(ValueError):
    """Bad input: one line that says what is wrong, where, and what to do (exit code 2).

    Line breaks in quoted names become blanks, so it is always one line.

    Example:
        >>> str(InputError("a\\nb.tsv: no such file; check the name"))
        'a b.tsv: no such file; check the name'
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


def shorten(value: object) -> str:
    """Any value as text for a message, at most 70 characters.

    Example:
        >>> shorten("relu"), shorten([0] * 99)
        ("'relu'", '[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...')
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep; a number of thousands of digits
        text = f"{type(value).__name__} too large to show"
    return text if len(text) <= 70 else text[:67] + "..."
