"""The names of a bridge's keys in Redis: redis_store.py tells what each of them holds."""

from __future__ import annotations

import base64

DUE = "p2pb:due"
TOKENS = "p2pb:{admit}:tokens"
HOLDERS = "p2pb:{admit}:holders"
LISTED = "p2pb:listed"


def name_of(key: bytes) -> str:
    """A queue, an account: 32 bytes in base64, without what a slot's mark is made of."""
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def bytes_of(name: str) -> bytes:
    """The inverse."""
    return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4))


def route_key(queue: str) -> str:
    return f"p2pb:r:{{{queue}}}"


def account_key(account: str) -> str:
    return f"p2pb:a:{{{account}}}"


def heads_key(account: str) -> str:
    return f"p2pb:h:{{{account}}}"


def list_key(account: str) -> str:
    return f"p2pb:l:{{{account}}}"


def keys_of(account: str, queue: str) -> tuple[str, ...]:
    """What every script of a queue is given, in this order: queue, stream, sizes, account, heads, queues."""
    own = tuple(f"p2pb:{kind}:{{{account}}}:{queue}" for kind in ("q", "b", "s"))
    return (*own, account_key(account), heads_key(account), list_key(account))
