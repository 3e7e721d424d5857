"""One UDP socket that accepts and dials QUIC connections. Knows bytes and addresses, no meaning."""
