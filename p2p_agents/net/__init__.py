"""Peer-facing edges beside QUIC: mDNS, same-host hints, network interfaces."""
