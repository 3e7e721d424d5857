"""Identity logs: those of others, and of our own devices."""
