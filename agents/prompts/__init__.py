"""Prompts are text files beside this module; this loads and fills them."""

from __future__ import annotations

from importlib.resources import files
from string import Template


def prompt(name: str, **values: str) -> str:
    """Return the prompt ``name`` with every ``$placeholder`` filled.

    Args:
        name: File name without ``.md``.
        values: One value a placeholder.

    Raises:
        KeyError: A placeholder has no value.
    """
    text = (files(__name__) / f"{name}.md").read_text(encoding="utf-8")
    return Template(text).substitute(values).strip()
