"""One turn of the decider: its batch, what comes in, and what time brings."""
