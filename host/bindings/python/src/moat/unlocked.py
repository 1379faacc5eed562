"""Sharing a directory with programs that write in place and take no lock, as the application does.

A reader may find such a file half-written: it is read again until it is whole, or has been left
alone for a while. And a save may come between a writer's comparison and its rename: the file that
lost its name is looked at once more, and what was saved into it is put back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

LEFT_ALONE_SECONDS = 0.2
"""So old is a file that isn't whole and is believed to stay like that."""

PAUSE_SECONDS = 0.005
READINGS = 40
"""How often a file is read at most: where the file system has a clock of its own, its age says
nothing."""
READINGS_OF_A_SAVE = 400
"""How often at most, for 2 s, where somebody is known to be in the midst of writing it."""


def read_whole(read: Callable[[], tuple[bytes, float] | None]) -> bytes | None:
    """What `read` returns with its age in seconds, over again while it is being written."""
    for _ in range(READINGS):
        found = read()
        if found is None:
            return None
        contents, age = found
        if age >= LEFT_ALONE_SECONDS or _is_whole(contents):
            break
        time.sleep(PAUSE_SECONDS)
    return contents


def saved_since(contents: bytes, read: Callable[[], bytes]) -> bytes | None:
    """What a program has saved since there were these contents; None: nothing, or nothing whole."""
    for _ in range(READINGS_OF_A_SAVE):
        now = read()
        if now == contents:
            return None
        if _is_whole(now):
            return now
        time.sleep(PAUSE_SECONDS)
    return None


def _is_whole(contents: bytes) -> bool:
    """Whether it is a JSON document: what was cut off isn't."""
    try:
        json.loads(contents)
    except (ValueError, RecursionError):
        return False
    return True
