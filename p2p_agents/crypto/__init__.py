"""Keys in, bytes out: signatures, identity logs, sessions. No storage, clock or randomness of its own."""
