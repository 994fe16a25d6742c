"""One module a system: ``measure(case, folder)``."""
