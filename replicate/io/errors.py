"""The error for bad input, which a user can fix, and how its message shows a value."""

import errno

__all__ = ["InputError", "Unreadable", "shorten", "unreadable"]


class InputError(ValueError):
    """Bad input: one line that says what is wrong, where, and what to do (exit code 2).

    Line breaks in quoted names become blanks, so it is always one line.

    Example:
        >>> str(InputError("a\\nb.tsv: no such file; check the name"))
        'a b.tsv: no such file; check the name'
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


class Unreadable(InputError):
    """A file that is there and that the system does not let us read: it may well be sound."""


# The file is not there, or is not a file.
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
_REMEDIES = {
    errno.EACCES: "give yourself permission to read it",
    errno.EPERM: "give yourself permission to read it",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs, or raise the system's limit of open files",
    errno.ENOMEM: "free memory, or raise its limit",
}


def unreadable(path: object, error: BaseException) -> InputError | None:
    """The error to raise where the system refuses a file, which then need not be damaged.

    Args:
        path: the file, for the message.
        error: what opening or reading it raised.

    Returns:
        :class:`Unreadable` where the file is there; another InputError where it is missing;
        None for what damaged bytes raise too.

    Example:
        >>> print(unreadable("a.npz", PermissionError(13, "Permission denied")))
        a.npz: cannot be read (Permission denied); give yourself permission to read it
        >>> unreadable("a.npz", OSError("Invalid data stream")) is None
        True
    """
    if isinstance(error, MemoryError):
        # A damaged header may promise any size; the reason has the size that was asked for.
        reason = " ".join(str(error).split())[:200] or "out of memory"
        return Unreadable(
            f"{path}: cannot be read ({reason}); free memory, or restore the file if it is "
            "smaller than that"
        )
    # Invalid argument: a place before the start of the file, to which damaged bytes point.
    if not isinstance(error, OSError) or error.errno in (None, errno.EINVAL):
        return None
    where = f"{path}: cannot be read ({error.strerror or error})"
    if error.errno in _MISSING:
        return InputError(f"{where}; check the name, or restore the file")
    return Unreadable(
        f"{where}; {_REMEDIES.get(error.errno, 'check the disk, or restore the file')}"
    )


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
