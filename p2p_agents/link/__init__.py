"""Sans-IO machines between two devices: hello, credit, delivery, owing, requests, liveness."""
