"""Bytes to values and back: strict CBOR, entries, frames, claims, the mDNS record. No I/O, clock or randomness."""
