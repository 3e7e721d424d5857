"""Dialers that must prove their address."""

from __future__ import annotations

import pytest

from p2p_agents.limits import PROOF_LIFE_S
from p2p_agents.quic import packet, private
from p2p_agents.quic.packet import Initial
from p2p_agents.quic.proof import Opening, Proofs

HERE, ELSEWHERE = ("192.0.2.1", 4433), ("192.0.2.2", 4433)


class Dialer:
    def __init__(self) -> None:
        self.quic = private.BoundedQuicConnection(private.configuration(is_client=True, alpn="x", certificate=None))
        self.quic.connect(HERE, now=0.0)
        self.chosen = self.quic.original_destination_connection_id

    def says(self) -> tuple[bytes, Initial]:
        data = self.quic.datagrams_to_send(now=0.0)[0][0]
        assert packet.opens_connection(data)
        initial = packet.initial(data)
        assert initial is not None
        return data, initial

    def hears(self, data: bytes) -> None:
        self.quic.receive_datagram(data, HERE, now=0.0)


def proven(proofs: Proofs, dialer: Dialer) -> Initial:
    """Its second first packet."""
    _, first = dialer.says()
    dialer.hears(proofs.demand(first, HERE, 100.0))
    return dialer.says()[1]


def test_a_dialer_comes_again_with_the_token_it_was_sent():
    proofs, dialer = Proofs(), Dialer()
    data, first = dialer.says()
    assert (first.to, first.frm, first.token) == (dialer.chosen, dialer.quic.host_cid, b"")
    assert proofs.check(first, HERE, 100.0) is None
    demand = proofs.demand(first, HERE, 100.0)
    assert len(demand) < len(data) / 8
    dialer.hears(demand)
    _, second = dialer.says()
    assert second.to != first.to
    assert proofs.check(second, HERE, 101.0) == Opening(chosen=dialer.chosen, told=second.to)


@pytest.mark.parametrize(
    ("address", "now"),
    [(ELSEWHERE, 101.0), (("192.0.2.1", 4434), 101.0), (HERE, 101.0 + PROOF_LIFE_S), (HERE, 99.0)],
    ids=["another host", "another port", "late", "early"],
)
def test_a_token_serves_its_address_in_its_time(address, now):
    proofs = Proofs()
    assert proofs.check(proven(proofs, Dialer()), address, now) is None


def test_a_token_serves_its_connection_id_and_its_endpoint():
    proofs = Proofs()
    second = proven(proofs, Dialer())
    assert proofs.check(Initial(b"12345678", second.frm, second.token), HERE, 101.0) is None
    assert Proofs().check(second, HERE, 101.0) is None


def test_no_flipped_bit_of_a_token_is_taken():
    proofs = Proofs()
    second = proven(proofs, Dialer())
    for place in range(len(second.token)):
        token = second.token[:place] + bytes([second.token[place] ^ 1]) + second.token[place + 1 :]
        assert proofs.check(Initial(second.to, second.frm, token), HERE, 101.0) is None
    assert proofs.check(Initial(second.to, second.frm, second.token[:-1]), HERE, 101.0) is None
