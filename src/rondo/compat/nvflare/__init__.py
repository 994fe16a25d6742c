"""What Clara's engine is called by code that was written for it."""
