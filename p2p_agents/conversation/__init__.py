"""Entries in, meaning out: conversation ids, chains, kinds, delivery states."""
