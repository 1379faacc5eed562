"""Who can read a file with a secret.

Containers and services get theirs with owners and modes that they can't choose; these are accepted
where that makes nobody else a reader (host/docs/keys.md).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

SYSTEMD_CREDENTIALS = "CREDENTIALS_DIRECTORY"

# What Kubernetes begins the names of a volume's own directories with, to which `..data` leads.
VERSION_OF_VOLUME = ".."


def is_private(path: str | os.PathLike[str], status: os.stat_result) -> bool:
    """Whether nobody else can read the file, as far as this user can tell.

    Only its owner can. Or it is a credential that systemd passed to this service: its group bits
    show an access control list, and nobody else can enter the directory. Or it is root's, and the
    group that can read it is one of this user's, who can't change that (`fsGroup` of Kubernetes).
    Or it is root's, and was mounted read-only for this container: by itself, or with the directory
    that it is in.
    """
    is_roots = status.st_uid == 0
    is_only_its_groups = status.st_mode & 0o027 == 0
    return (
        status.st_mode & 0o077 == 0
        or (is_only_its_groups and _is_systemd_credential(path))
        or (is_only_its_groups and is_roots and os.geteuid() != 0 and _is_own(status.st_gid))
        or (status.st_mode & 0o022 == 0 and is_roots and _is_mounted_for_this_container(path))
    )


def _is_systemd_credential(path: str | os.PathLike[str]) -> bool:
    directory = os.environ.get(SYSTEMD_CREDENTIALS)
    return bool(directory) and Path(path).resolve().parent == Path(directory or "").resolve()


def _is_own(group: int) -> bool:
    return group in (os.getegid(), *os.getgroups())


def _is_mounted_for_this_container(path: str | os.PathLike[str]) -> bool:
    file = Path(path).resolve()
    places = [file, file.parent]
    if file.parent.name.startswith(VERSION_OF_VOLUME):
        places.append(file.parent.parent)
    if not os.statvfs(file).f_flag & os.ST_RDONLY:
        return False
    mounted = _mount_points()
    return any(os.fsencode(place) in mounted for place in places if place != place.parent)


def _mount_points() -> set[bytes]:
    """Where something is mounted in this mount namespace (proc_pid_mountinfo(5))."""
    with open("/proc/self/mountinfo", "rb") as table:
        return {_unescaped(line.split()[4]) for line in table}


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda escape: bytes([int(escape[1], 8)]), path)
