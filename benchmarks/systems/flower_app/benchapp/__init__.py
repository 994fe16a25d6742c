"""The work of ``benchmarks/work.py`` as a Flower app; the launcher copies that file beside these."""
