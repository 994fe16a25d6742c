"""What was tried out in Clara."""
