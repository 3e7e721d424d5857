"""The local API: a registry of methods, JSON lines over a Unix socket, the node's server, a blocking client."""
