"""The relay between networks: it carries what it cannot read."""
