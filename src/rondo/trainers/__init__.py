"""Trainers: each module is one way to train at a site. They run inside a worker process and nowhere else.

What a trainer is, is said in ``seam``. Everything heavy (torch, scikit-learn) is imported when a trainer is built.
"""
