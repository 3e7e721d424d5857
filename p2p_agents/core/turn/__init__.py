"""One turn of the decider: its batch, its inputs, and what happens by time alone."""
