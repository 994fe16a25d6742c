"""Decisions, pure: event in, commands out. No clock, no socket, no disk."""
