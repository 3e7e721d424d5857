"""Identity logs: other agents', and our own devices."""
