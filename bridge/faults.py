"""What can go wrong at a bridge alone; the rest of what it raises is of the tree that it shares with the agents."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors import EnvironmentFault
from p2p_agents.errors.fault import LocalFault


class BadStore(LocalFault):
    """That is not the address of a bridge's store."""

    code = "bad_store"
    exit = exits.USAGE
    hint = "leave --store out for a file in --data, or give one like redis://HOST:6379/0?password_file=FILE"


class TokenUnknown(LocalFault):
    """The bridge has no admission token with that id."""

    code = "token_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-bridge token list"


class AccountUnknown(LocalFault):
    """The bridge does not know that account."""

    code = "account_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-bridge stats"


class BridgeDataUnusable(LocalFault):
    """The directory holds no bridge's data, or cannot be used."""

    code = "bridge_data"
    hint = "name the bridge's directory: --data DIR"


class RedisMissing(LocalFault):
    """The Redis client is not installed, which sharing a bridge's store needs."""

    code = "redis_missing"
    hint = "run: pip install 'p2p-agents[redis]'; a bridge on its own needs no Redis"


class StoreAway(EnvironmentFault):
    """The database server that keeps the store does not answer."""

    code = "store_away"
    retryable = True
    hint = "check that it runs, and that the address and password are right"


class StoreUnfit(EnvironmentFault):
    """The database server would lose data, or lacks what the bridge needs."""

    code = "store_unfit"
    hint = "docs/operations.md says how to set it up"
