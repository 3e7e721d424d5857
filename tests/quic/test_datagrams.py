"""The socket below QUIC: answers leave from the address that was asked."""

from __future__ import annotations

import select
import sys

import pytest

from p2p_agents.quic.datagrams import ANY, Datagrams

FIRST, SECOND = "127.0.0.1", "127.0.0.2"  # the kernel would answer for both from the first

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel chooses")


@pytest.fixture
def here():
    sock = Datagrams.bind(None, 0)
    yield sock
    sock.close()


@pytest.fixture
def there():
    sock = Datagrams.bind(None, 0)
    yield sock
    sock.close()


def receive(sock: Datagrams):
    assert select.select([sock], [], [], 10)[0]
    return sock.receive()


@pytest.mark.parametrize("host", [FIRST, SECOND, "::1"])
def test_an_answer_leaves_from_where_the_question_came_to(here, there, host):
    here.send(b"question", (host, there.port))
    question, asker, local = receive(there)
    there.send(b"answer", asker, local)
    answer, origin, _ = receive(here)
    assert (question, answer) == (b"question", b"answer")
    assert origin == (host, there.port)


def test_left_alone_the_kernel_chooses(here, there):
    """The reason for the rest: if this changes, it can go."""
    here.send(b"question", (SECOND, there.port))
    _, asker, _ = receive(there)
    there.send(b"answer", asker, ANY)
    assert receive(here)[1] == (FIRST, there.port)


@pytest.mark.parametrize("host", [FIRST, "::1"])
def test_a_socket_of_one_address_has_no_choice(here, host):
    bound = Datagrams.bind(host, 0)
    here.send(b"question", (host, bound.port))
    _, asker, local = receive(bound)
    assert local == ANY
    bound.send(b"answer", asker, local)
    assert receive(here)[1] == (host, bound.port)
    bound.close()


def test_nothing_there_is_told_as_it_is(here):
    with pytest.raises(BlockingIOError):
        here.receive()
