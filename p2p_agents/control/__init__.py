"""The local API: one registry of methods, JSON lines over a Unix socket."""
