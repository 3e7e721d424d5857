"""The methods of the control socket: JSON in, JSON out."""
