"""Measurements: run with ``python -m benchmarks.NAME``; each prints one JSON line."""
