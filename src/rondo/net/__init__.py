"""gRPC over mutual TLS: the table of methods, channels, servers, file transfer. The only room with sockets."""
