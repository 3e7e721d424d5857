"""Messages: accepted, sealed, sent, received, compared, and given up."""
