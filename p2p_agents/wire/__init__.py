"""Bytes to values and back: strict CBOR, entries, frames, the mDNS record. No I/O, clock or randomness."""
