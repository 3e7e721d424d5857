"""The labelled hash."""

import hashlib

from p2p_agents.crypto.digest import H


def test_it_is_sha256_of_the_cbor_array():
    assert H("label", 1, b"x") == hashlib.sha256(b"\x83\x65label\x01\x41x").digest()


def test_labels_and_parts_do_not_run_into_each_other():
    seen = {H("a", b"bc"), H("a", b"b", b"c"), H("ab", b"c"), H("a", "bc"), H("a", [b"b", b"c"]), H("a")}
    assert len(seen) == 6
