"""Measurements: what the library costs, beside what the bare primitives under it cost, in one run on one machine."""
