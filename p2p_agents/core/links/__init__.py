"""Links between two agents: opened, proven, kept, and where they are dialled."""
