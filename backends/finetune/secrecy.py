"""Finds what a model must not learn by heart: keys, tokens, and people's addresses. Pure.

The forms of keys are the published ones of those who issue them, as secret scanners know them
(GitHub's secret scanning, gitleaks). What is found is never shown whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

_FORMS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "private key": re.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
        "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{50,})"),
        "GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}"),
        "API key (sk-…)": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
        "Stripe key": re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
        "Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
        "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
        "Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        "JSON web token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{10,}"),
        "bearer token": re.compile(r"\b[Bb]earer\s+(?=[\w.~+/-]*\d)[\w.~+/-]{20,}=*"),
        "password in an address": re.compile(
            r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,80}:[^\s/@]+@"
        ),
    }
)
_ADDRESS = re.compile(
    r"\b[A-Za-z0-9](?:[\w.%+-]{0,62}\w)?@((?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24})\b"
)
# RFC 2606: names that belong to nobody, for examples like these.
_NOBODYS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$")


def secrets(text: str) -> Iterator[str]:
    """Yield what looks like a secret, as its kind and its first letters."""
    for kind, form in _FORMS.items():
        for found in form.finditer(text):
            yield f"{kind} {found.group(0)[:6]}…"


def addresses(text: str) -> Iterator[str]:
    """Yield e-mail addresses, shortened; those under RFC 2606's names for examples are nobody's."""
    for found in _ADDRESS.finditer(text):
        if not _NOBODYS.search(found.group(1).lower()):
            yield f"{found.group(0)[:2]}…@{found.group(1)}"


def concealed(text: str) -> str:
    """Return the text with its secrets and addresses shortened as they are shown."""
    for form in _FORMS.values():
        text = form.sub(lambda found: f"{found.group(0)[:6]}…", text)
    return _ADDRESS.sub(lambda found: next(addresses(found.group(0)), found.group(0)), text)
