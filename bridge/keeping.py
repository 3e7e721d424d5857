"""Opens a bridge's data: its directory, the store, and the meeting places that belong to that store.

What is not used is not loaded: an operator's command needs no sockets, a bridge of one process no Redis.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bridge.meetings import LocalMeetings
from bridge.sqlite_store import SqliteStore
from p2p_agents.errors import StoreReadOnly

if TYPE_CHECKING:
    from bridge.bounds import Quotas
    from bridge.meetings import Meetings
    from bridge.store import Store

STORE_NAME = "bridge.db"


async def open_store(data: str, store: str, quotas: Quotas) -> Store:
    """The store of a bridge with that data directory. Raises BadStore or an EnvironmentFault."""
    if store:
        from bridge.redis_store import RedisStore  # a bridge of one process never loads it

        return await RedisStore.open_url(store, quotas)
    return await SqliteStore.open_file(os.path.join(data, STORE_NAME), quotas)


def open_meetings(store: Store) -> Meetings:
    """If the store is shared, so are the meeting places."""
    if isinstance(store, SqliteStore):
        return LocalMeetings()
    from bridge.redis_meetings import RedisMeetings
    from bridge.redis_store import RedisStore

    assert isinstance(store, RedisStore)
    return RedisMeetings(store.link)


def data_directory(path: str) -> None:
    """Create it, 0700, or check that it can be used. Raises StoreReadOnly."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise StoreReadOnly(f"the data directory cannot be written: {path}")
    except OSError as error:
        raise StoreReadOnly(f"the data directory cannot be used: {error.strerror}: {path}") from error
