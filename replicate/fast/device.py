"""The device that a network is on: the CPU or a GPU."""

from typing import Any

from ..io.errors import InputError
from .compat import chainer, cuda

__all__ = ["chainer_device"]


def chainer_device(name: str) -> Any:
    """The Chainer device for the value of ``--device``.

    Args:
        name: ``"@cpu"``, or ``"@cupy:0"`` for the first GPU.

    Returns:
        chainer.backend.Device: the device, selected for use.

    Raises:
        InputError: if the name is unknown, or this machine does not have the GPU.

    Example:
        >>> chainer_device("@cpu").name
        '@numpy'
    """
    if name == "@cpu":
        return chainer.get_device("@numpy")
    kind, _, number = name.partition(":")
    if kind != "@cupy" or not (number or "0").isdigit():
        raise InputError(f"--device {name}: unknown kind of device; choose @cpu or @cupy:0")
    try:
        device = chainer.get_device(f"@cupy:{number or 0}")
        device.use()
    except Exception as error:  # CuPy is not installed, no driver, no such device
        # If CuPy could not be imported, `error` does not say why; Chainer keeps the reason.
        cause = error if cuda.available else cuda._resolution_error
        reason = str(cause).strip().split("\n")[0]
        raise InputError(
            f"--device {name}: not available on this machine ({reason}); use @cpu"
        ) from None
    return device
