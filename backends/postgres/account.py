"""Whom the embedded server runs as: PostgreSQL refuses to run as root, so root lends it a user."""

from __future__ import annotations

import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.errors import Misconfigured

if TYPE_CHECKING:
    import pwd

ACCOUNT = "pgserver"
"""The system user that root creates; the name that the wheel with the server uses as well."""

_SEARCH = 0o001
_ACL_ATTRIBUTE = "system.posix_acl_access"
_NO_ID = 0xFFFFFFFF
_OWNER, _USER, _GROUP, _NAMED_GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that the server's commands run as; None means as ourselves."""

    uid: int | None = None
    gid: int | None = None

    def owns(self, path: Path) -> bool:
        """Whether the folder is a real one of this user's, not a link that somebody laid."""
        found = path.lstat()
        return not path.is_symlink() and found.st_uid == (
            os.geteuid() if self.uid is None else self.uid
        )

    def take(self, path: Path) -> None:
        """Make the user the owner; does nothing when we run it as ourselves."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """Return the account to run as, creating it when we are root.

    Raises:
        Misconfigured: We are root and the user can neither be found nor created.
    """
    if os.geteuid() != 0:
        return Account()
    import pwd

    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        found = _created()
    return Account(found.pw_uid, found.pw_gid)


def let_through(account: Account, folder: Path) -> None:
    """Let the account pass through the folders above this one, and nobody else.

    A home is often closed (0700). Opening it to everybody would be too much, so the account alone
    gets the right to search each closed folder, by a POSIX access control list.

    Raises:
        Misconfigured: The file system has no such lists; the message names the folder and the fix.
    """
    if account.uid is None:
        return
    for parent in folder.parents:
        if not parent.stat().st_mode & _SEARCH:
            _grant_search(parent, account.uid)


def _created() -> pwd.struct_passwd:
    import pwd

    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]
    try:
        done = subprocess.run(  # noqa: S603 - a constant command
            command, capture_output=True, text=True, timeout=30, check=False
        )
        complaint = done.stderr.strip()
    except OSError as error:
        complaint = str(error)
    try:
        # Another process may have created it in the same moment, so what counts is that it is here.
        return pwd.getpwnam(ACCOUNT)
    except KeyError as error:
        raise Misconfigured(
            f"PostgreSQL does not run as root, and the user {ACCOUNT} cannot be created: "
            f"{complaint}.",
            backend="database",
            hint="Run as another user than root, create that user, or set ROUTER_DATABASE_URL.",
        ) from error


def _grant_search(folder: Path, uid: int) -> None:
    try:
        entries = [entry for entry in _acl(folder) if entry[0] != _MASK and entry[2] != uid]
        mask = _SEARCH
        for tag, permissions, _ in entries:
            mask |= permissions if tag in (_USER, _GROUP, _NAMED_GROUP) else 0
        entries += [(_USER, _SEARCH, uid), (_MASK, mask, _NO_ID)]
        packed = b"".join(struct.pack("<HHI", *entry) for entry in sorted(entries, key=_order))
        os.setxattr(folder, _ACL_ATTRIBUTE, struct.pack("<I", 2) + packed)
    except (OSError, AttributeError) as error:
        raise Misconfigured(
            f"The database runs as the user {ACCOUNT}, who cannot pass through {folder}.",
            backend="database",
            hint=f"Run chmod o+x {folder}, choose another data folder, or set ROUTER_DATABASE_URL.",
        ) from error


def _acl(folder: Path) -> list[tuple[int, int, int]]:
    """The folder's list as (tag, permissions, id); see acl(5) and Linux' posix_acl_xattr.h."""
    if _ACL_ATTRIBUTE in os.listxattr(folder):
        raw = os.getxattr(folder, _ACL_ATTRIBUTE)[4:]
        return list(struct.iter_unpack("<HHI", raw))
    mode = folder.stat().st_mode
    return [
        (_OWNER, mode >> 6 & 7, _NO_ID),
        (_GROUP, mode >> 3 & 7, _NO_ID),
        (_OTHER, mode & 7, _NO_ID),
    ]


def _order(entry: tuple[int, int, int]) -> tuple[int, int]:
    return entry[0], entry[2]
