"""The agents of this node: hosted, owned, restored."""
