"""The base of every other room: the transaction and its undo, effects, clock, and state in memory."""
