"""The applications of Clara Train."""
