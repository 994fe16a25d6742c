"""The truth: SQL tables and the few operations on them. Nothing that matters lives only in a process."""
