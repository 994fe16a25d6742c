"""Its applications."""
