"""The demo's job: four clinics, one model that finds thyroid patients. ``job.toml``, the code, and the data."""
