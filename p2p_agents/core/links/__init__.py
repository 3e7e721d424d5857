"""Links between two agents: dialed, opened, proven, kept."""
