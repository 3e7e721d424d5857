"""The local API: a registry of methods, JSON lines over a Unix socket, a server, a blocking client."""
