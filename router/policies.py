"""The policy that decides: a file of the operator's, or the one that ships."""

from __future__ import annotations

from pathlib import Path

from router.classify import Heads, shipped_policy
from router.errors import SettingsError
from router.policy import InvalidPolicy, Policy


def load_policy(path: Path | None, heads: Heads) -> Policy:
    """Read a policy file, or the policy that ships.

    Raises:
        SettingsError: It cannot be read, or was tuned for other heads than these.
        Misconfigured: The one that ships is damaged.
    """
    try:
        # Some editors begin a file with a byte order mark.
        policy = Policy.from_json(path.read_text("utf-8-sig")) if path else shipped_policy()
    except (OSError, UnicodeDecodeError, InvalidPolicy) as error:
        raise SettingsError([f"policy: {path}: {error}"]) from error
    if policy.heads not in ("", heads.fingerprint):
        raise SettingsError(
            [
                f"policy: {path or 'the one that ships'}: was tuned for heads {policy.heads}, "
                f"not for {heads.fingerprint}"
            ]
        )
    return policy
