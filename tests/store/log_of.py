"""A conversation to fill a store with: alice is hosted here, bob elsewhere."""

from __future__ import annotations

from p2p_agents.conversation.conversation import Conversation
from p2p_agents.conversation.direct import direct
from p2p_agents.conversation.record import Place, Record, write_message
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.store import conversations, entries, log
from p2p_agents.store.contacts import Trust
from p2p_agents.store.database import Database
from p2p_agents.wire.entry import FIRST_PREV

ALICE, BOB, CAROL = b"a" * 32, b"b" * 32, b"c" * 32
KEY = SigningKey.from_seed(b"k" * 32)
TALK = direct(ALICE, BOB)
HERE = 1  # alice's number in this store


def record(
    db: Database, text: str, *, epoch: bytes = b"e" * 8, conversation: Conversation = TALK, author: bytes = BOB
) -> Record:
    """The next entry of the one device that writes here, in the given epoch."""
    conversations.keep(db, conversation)
    run, lamport = entries.tip(db, conversation.id, KEY.public, epoch)
    run = run or entries.newest(db, conversation.id, KEY.public)
    seq, prev = (run.last + 1, run.hash) if run else (1, FIRST_PREV)
    place = Place(conversation.id, epoch, seq, prev, lamport + 1)
    return write_message(
        KEY,
        author,
        place,
        content=text.encode(),
        salt=bytes(16),
        content_type="text/plain",
        reply_to=None,
        time_ms=1,
    )


def hears(db: Database, *texts: str, agent: int = HERE, conversation: Conversation = TALK, **how: bytes) -> list[int]:
    """Messages come in; their cursors."""
    cursors = []
    for text in texts:
        entry = entries.append(db, record(db, text, conversation=conversation, **how))
        cursors.append(log.add(db, agent, entry, conversation.id, incoming=True, trust=Trust.ACCEPTED))
    return cursors
