"""The operator's commands beside a running bridge: the same store, opened for one question and closed again."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bridge import keys, sqlite_store
from bridge.bounds import Quotas
from bridge.faults import AccountUnknown, BridgeDataUnusable, TokenUnknown
from bridge.keeping import STORE_NAME, open_store
from bridge.origins import Origins
from bridge.sizes import parse_key, show_key
from bridge.store import LABEL_CHARS, Crowd
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import Usage
from p2p_agents.quic.address import canonical_host, network_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.store import Store

Json = dict[str, Any]

TOKEN_SECRET_BYTES = 20  # 160 bits, 32 characters: it cannot be guessed, and can be read aloud
MINUTE_MS = 60_000
TOKEN_ID_CHARS = 12  # of its hash: enough to name it, and no help in guessing it


class Operator:
    """One per command."""

    def __init__(self, data: str, store: str = "") -> None:
        self._data = data
        self._store = store

    # --- tokens ---

    def create_token(self, label: str, accounts: int, minutes: int = 0) -> Json:
        """The one time that the token itself is shown: the store keeps its hash. It admits newcomers for so long; 0:
        without end."""
        _check_label(label)
        token = base64.b32encode(os.urandom(TOKEN_SECRET_BYTES)).decode().lower()
        hashed = sha256(token.encode()).digest()
        now_ms = _now_ms()
        until_ms = now_ms + minutes * MINUTE_MS if minutes else 0
        self._ask(lambda store: store.add_token(hashed, label, accounts, now_ms, until_ms))
        shown = {"token": token, "id": _token_id(hashed), "label": label, "accounts": accounts}
        return shown | {"until": _time(until_ms) if until_ms else None}

    def list_tokens(self) -> Json:
        found = self._ask(lambda store: store.tokens())
        return {
            "tokens": [
                {
                    "id": _token_id(token.hash),
                    "label": token.label,
                    "accounts": token.accounts,
                    "used": token.used,
                    "created": _time(token.made_ms),
                    "until": _time(token.until_ms) if token.until_ms else None,
                }
                for token in found
            ]
        }

    def revoke_token(self, name: str) -> Json:
        """By its id, or by the token itself."""

        async def revoke(store: Store) -> bool:
            typed = sha256(name.strip().lower().encode()).digest()
            for token in await store.tokens():
                if _token_id(token.hash) == name.strip().lower() or token.hash == typed:
                    return await store.remove_token(token.hash)
            return False

        if not self._ask(revoke):
            raise TokenUnknown
        return {"revoked": True}

    # --- the list ---

    def allow(self, account: str, label: str) -> Json:
        _check_label(label)
        key = parse_key(account)
        self._ask(lambda store: store.allow(key, label, _now_ms()))
        return {"account": show_key(key), "label": label}

    def list_allowed(self) -> Json:
        found = self._ask(lambda store: store.allowed())
        return {
            "accounts": [
                {"account": show_key(one.account), "label": one.label, "added": _time(one.made_ms)} for one in found
            ]
        }

    def disallow(self, account: str) -> Json:
        key = parse_key(account)
        if not self._ask(lambda store: store.disallow(key)):
            raise AccountUnknown("that account is not on the list", hint="run: p2p-bridge allow list")
        return {"account": show_key(key), "removed": True}

    # --- the store ---

    def stats(self, most: int) -> Json:
        """Accounts are named by their keys, networks by their tags: `network` tells what an address's is."""

        async def look(store: Store) -> Json:
            stats, accounts, networks = await store.stats(), await store.accounts(most), await store.networks(most)
            return {
                "queues": stats.queues,
                "blobs": stats.blobs,
                "bytes": stats.bytes,
                "accounts": stats.accounts,
                "oldest": _time(stats.oldest_ms) if stats.oldest_ms else None,
                "largest": [
                    {
                        "account": show_key(one.account),
                        "queues": one.queues,
                        "bytes": one.bytes,
                        "seen": _time(one.seen_ms),
                    }
                    for one in accounts
                ],
                "networks": [_crowd(one) for one in networks],
            }

        found: Json = self._ask(look)
        return found

    def network(self, address: str) -> Json:
        """What the network of an address holds. Raises Usage, BridgeDataUnusable."""
        try:
            network = network_of(canonical_host(address))
        except Usage as error:
            raise Usage(f"no IP address: {address[:80]!r}", hint="such as 203.0.113.9 or 2001:db8::9") from error
        if not network:
            raise Usage("who comes from this machine is of no network", hint="see p2p-bridge stats --largest 50")
        if not os.path.exists(os.path.join(self._data, keys.NAME)):
            raise BridgeDataUnusable(f"no bridge's key is here, by which networks are told apart: {self._data}")
        tag = Origins.of(SigningKey.from_seed(keys.seed(self._data))).tag(network, b"")

        async def look(store: Store) -> Crowd:
            held = [one for one in await store.networks(2**31 - 1) if one.origin == tag]
            return held[0] if held else Crowd(tag, 0, 0, 0)

        return {"network": network, **_crowd(self._ask(look))}

    def purge(self, account: str) -> Json:
        key = parse_key(account)

        async def purge(store: Store) -> int | None:
            known = await store.accounts(2**31 - 1)
            return await store.purge(key) if any(one.account == key for one in known) else None

        blobs = self._ask(purge)
        if blobs is None:
            raise AccountUnknown
        return {"account": show_key(key), "blobs": blobs}

    def backup(self, target: str) -> Json:
        """Of a store in a file; the bridge may run meanwhile."""
        if self._store:
            raise Usage("copy a store in Redis by Redis' own means", hint="see docs/operations.md, backups")
        path = os.path.join(self._data, STORE_NAME)
        if not os.path.exists(path):
            raise BridgeDataUnusable(f"no bridge's store is here: {path}")
        try:
            sqlite_store.backup(path, target)
        except FileExistsError:
            raise Usage(f"the file exists already: {target}", hint="name one that does not exist") from None
        except OSError as error:
            raise BridgeDataUnusable(f"cannot write {target}: {error.strerror}", hint="name another file") from error
        return {"file": target, "bytes": os.path.getsize(target)}

    def _ask(self, question: Callable[[Store], Awaitable[Any]]) -> Any:
        if not self._store and not os.path.isdir(self._data):
            raise BridgeDataUnusable(f"no bridge's data is here: {self._data}")

        async def ask() -> Any:
            store = await open_store(self._data, self._store, Quotas())
            try:
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(ask())


def _crowd(one: Crowd) -> Json:
    return {"tag": one.origin.hex(), "accounts": one.accounts, "queues": one.queues, "bytes": one.bytes}


def _check_label(label: str) -> None:
    if len(label) > LABEL_CHARS:
        raise Usage(f"a label has at most {LABEL_CHARS} characters; this one has {len(label)}")


def _token_id(hashed: bytes) -> str:
    return show_key(hashed)[:TOKEN_ID_CHARS]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _time(ms: int) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
