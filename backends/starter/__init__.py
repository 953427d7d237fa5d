"""The starter model: a few million parameters, trained from scratch by this project.

Composing (`rows`) writes what it learns from, `pretrain` trains it, `folder` gives the shipped
weights as a plain Hugging Face folder. It is narrow on purpose; ``artefact/MODEL_CARD.md`` says
what it can do and what it cannot.
"""

from __future__ import annotations

from typing import Final

STARTER: Final = "starter"
"""The base model's name."""
