"""Files by digest. Extension room: one module a kind of store."""
