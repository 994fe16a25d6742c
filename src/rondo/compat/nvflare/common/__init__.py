"""What server and client share."""
