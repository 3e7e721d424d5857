"""Messages: taken, sealed, sent, received, compared, and given up."""
