"""The decider: items in, effects out. No sockets, no threads, no clock of its own; `turn` runs it."""
