"""Provisioning: project files, kits on disk, the doctor."""
