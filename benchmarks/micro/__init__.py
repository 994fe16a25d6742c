"""Small parts by themselves, with pytest-benchmark: ``make bench`` runs them, ``make test`` does not.

A figure that is bytes a second stands in ``extra_info``, as ``mib``: how much one call works on.
"""
