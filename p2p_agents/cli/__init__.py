"""The command line: a face over control.client."""
