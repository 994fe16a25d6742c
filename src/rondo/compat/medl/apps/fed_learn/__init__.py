"""Federated learning in Clara Train."""
