"""The command ``router``, also ``python -m router``: the outermost boundary of the process."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code.

    0 done, 1 the command could not do what it should, 2 it was called wrongly, 130 interrupted,
    143 asked to end.
    """
    from router.cli.boundary import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
