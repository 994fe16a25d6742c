"""Components that Clara brought along."""
