"""The one kind of error that a user can mend, and how a value is shown in its message."""

__all__ = ["InputError", "shorten"]


class InputError(ValueError):
    """Bad input: one clear line that says what, where and the remedy (exit code 2).

    It is one line whatever it quotes: line breaks of names become blanks.

    Example:
        >>> str(InputError("a\\nb.tsv: no such file; check the name"))
        'a b.tsv: no such file; check the name'
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


def shorten(value: object) -> str:
    """A value for a message, at most 70 characters, whatever it is.

    Example:
        >>> shorten("relu"), shorten([0] * 99)
        ("'relu'", '[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...')
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep; a number of thousands of digits
        text = f"{type(value).__name__} too large to show"
    return text if len(text) <= 70 else text[:67] + "..."
