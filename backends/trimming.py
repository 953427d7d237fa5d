"""Memory that this process has freed goes back to the machine.

Opening takes twice of what stays: weights are read, turned into graphs, and read again. glibc keeps
the difference for later, which does not come.
"""

from __future__ import annotations


def give_back() -> None:
    """Return what has been freed to the system; does nothing where the C library has no such call.

    Takes a few milliseconds and does not hold the interpreter's lock meanwhile.
    """
    import ctypes

    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        # Not glibc, or no such way into the running program.
        return
    trim(0)
