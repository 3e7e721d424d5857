"""Who may write to whom: requests, introductions, names."""
