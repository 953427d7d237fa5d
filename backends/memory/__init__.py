"""Twins of every port, in memory: the same behaviour without anything outside, for tests."""
