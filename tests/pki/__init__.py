"""Certificates, kits, revocations."""
