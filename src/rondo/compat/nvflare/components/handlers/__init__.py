"""Handlers that Clara brought along."""
