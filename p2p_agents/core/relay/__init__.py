"""Links over bridges: which queues, and when the other side is asked."""
