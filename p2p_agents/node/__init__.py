"""The background process of one OS user: it owns the log, the keys and the sockets, and connects all other parts."""
