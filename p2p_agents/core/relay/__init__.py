"""Links over bridges: their queues, and when to ask the other side."""
