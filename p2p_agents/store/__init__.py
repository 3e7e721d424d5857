"""The only SQLite: schema, log, outbox, contacts, sessions, cursors. Functions never commit."""
