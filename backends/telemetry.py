"""onnxruntime sends nothing to anybody.

Its builds, and those of onnxruntime-genai, report to their maker by default: which graphs are
loaded, from which process, on which machine. Nothing here needs that.
"""

from __future__ import annotations

import os
from typing import Final

_VARIABLE: Final = "ORT_DISABLE_TELEMETRY"


def without_telemetry() -> None:
    """Turn the reports off; to be called before either library is imported."""
    os.environ.setdefault(_VARIABLE, "1")
