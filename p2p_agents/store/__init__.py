"""The only SQLite: entries, log, readers, outbox, contacts, sessions; the key files. Functions never commit."""
