"""Pairing by codes: shown, tried, met."""
