"""Measures the router on questions whose answers are known; the command line prints it."""
