"""What Clara Train itself is called by code that was written for it."""
