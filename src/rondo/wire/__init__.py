"""What is said on the wire: rondo.proto, the code made from it, and which protocol versions mix."""

PROTOCOL = 1
OLDEST = 1
