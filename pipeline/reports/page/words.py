"""Numbers, times and lengths of time as a report writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

NARROW = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with thin spaces between thousands, "–" for None."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{abs(value):,.{digits}f}".replace(",", NARROW)
    return (MINUS if value < 0 and float(f"{value:.{digits}f}") != 0 else "") + text


def percent(value: float | None) -> str:
    """Return per cent in whole numbers; what is not quite all or nothing never reads 100 or 0."""
    if value is None:
        return "\N{EN DASH}"
    if 0 < value < 1 or 99 < value < 100:
        return (
            f"{value:.1f}{NARROW}%"
            if 0.05 <= value < 99.95
            else f"{'under 0.1' if value < 1 else 'over 99.9'}{NARROW}%"
        )
    return f"{value:.0f}{NARROW}%"


def duration(seconds: float | None) -> str:
    """Return a length of time as people say it: 4.2 s, 75 s, 4 min 30 s, 12 min, 3 h 05 min."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 9.95:
        return f"{seconds:.1f}{NARROW}s"
    if seconds < 119.5:
        return f"{seconds:.0f}{NARROW}s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}{NARROW}min" + (f" {rest:02d}{NARROW}s" if rest else "")
    minutes = math.floor(seconds / 60 + 0.5)
    return f"{minutes // 60}{NARROW}h {minutes % 60:02d}{NARROW}min"


def hours(seconds: float) -> str:
    """Return hours with one decimal; of less than one, the length of time."""
    return f"{number(seconds / 3600, 1)}{NARROW}h" if seconds >= 3600 or seconds == 0 else duration(seconds)


def clock(bin_local: str) -> str:
    """Return the clock of an ISO 8601 instant, with seconds only where there are some."""
    return bin_local[11:16] if bin_local[16:19] in ("", ":00") else bin_local[11:19]


def day(text: str) -> str:
    """Return a date or instant `YYYY-MM-DD...` as "Tue 12 May 2026"."""
    return f"{datetime.fromisoformat(text[:10]):%a} {int(text[8:10])} {datetime.fromisoformat(text[:10]):%b %Y}"


def bin_length(bin_s: int) -> str:
    """Return the length of a bin: 15 min, 1 h, 30 s."""
    for unit_s, unit in ((86_400, "day"), (3600, "h"), (60, "min")):
        if bin_s % unit_s == 0:
            return f"{bin_s // unit_s}{NARROW}{unit}"
    return f"{bin_s}{NARROW}s"


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return "1 file", "2 files"."""
    return f"{number(n)} {noun if n == 1 else plural or noun + 's'}"


def listed(words: Iterable[str]) -> str:
    """Return "a, b and c"."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
