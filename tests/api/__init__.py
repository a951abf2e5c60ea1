"""Tests that hold the API to its own document."""
