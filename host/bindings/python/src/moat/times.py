"""Times in records, which are texts of ISO 8601."""

from __future__ import annotations

import re
from datetime import datetime

# What `datetime.fromisoformat` takes differs between the releases of Python.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d)(:[0-5]\d)?(?:\.(\d+))?"
    r"(?:(Z)|([+-](?:[01]\d|2[0-3]):[0-5]\d))?",
    re.ASCII,
)


def parsed(text: str) -> datetime | None:
    """The time, without a zone if the text has none; None: it is another text than a time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    date, time, seconds, fraction, utc, offset = found.groups()
    microseconds = ((fraction or "") + "000000")[:6]
    zone = "+00:00" if utc else offset or ""
    try:
        return datetime.fromisoformat(f"{date}T{time}{seconds or ':00'}.{microseconds}{zone}")
    except ValueError:
        return None
