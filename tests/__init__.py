"""Tests: a mirror of the tree, and the suites that cross it."""
