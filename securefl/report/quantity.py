"""Numbers with their unit, as short as a reader wants them."""

from __future__ import annotations

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")


def bytes_text(count: float) -> str:
    """Decimal units, three significant digits.

    Example:
        >>> bytes_text(0), bytes_text(999), bytes_text(12_345), bytes_text(3.2e9)
        ('0 B', '999 B', '12.3 kB', '3.2 GB')
    """
    for unit in _BYTE_UNITS[:-1]:
        if float(f"{count:.3g}") < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {_BYTE_UNITS[-1]}"


def seconds_text(seconds: float) -> str:
    """Milliseconds, seconds, or minutes and seconds.

    Example:
        >>> seconds_text(0.0123), seconds_text(4.56), seconds_text(59.96), seconds_text(3_725)
        ('12 ms', '4.6 s', '1 min 0 s', '62 min 5 s')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
