"""A real federation on one machine: real kits, real processes, real TLS over loopback."""
