"""gRPC over mutual TLS: the table of methods, channels, servers, file transfer. The only room with sockets."""

import os

# gRPC writes to stderr what the caller of a failed operation is told anyhow. It reads this once, when loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
