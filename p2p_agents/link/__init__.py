"""Sans-IO parts of a link: hello, credit, gaps, admission, reconciliation, routing, and both sides of pairing."""
