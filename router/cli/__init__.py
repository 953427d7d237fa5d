"""The command line: one small module a command group, joined in `root`, guarded by `boundary`.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""
