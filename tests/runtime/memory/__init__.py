"""Tests of runtime.memory."""
