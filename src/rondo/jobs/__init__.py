"""What a run is asked to do: the job and its readers, the package it travels in, tasks and updates."""
