"""Every bound of a bridge: a name, a unit, a reason. `Quotas` holds those that its operator may choose."""

from __future__ import annotations

from dataclasses import dataclass

from p2p_agents.limits import BLOB_BYTES, BLOB_FLOOR_BYTES, KIB, MIB, WORK_BITS_MAX

DAY_S = 86_400

# --- one connection ---
KNOCK_S = 10.0  # a connection that has not knocked by then is ended
KNOCK_BYTES = 1 * KIB  # of a frame before the KNOCK: the most a stranger can make us hold
PENDING_REQUESTS = 1_024  # of one connection that the store has not answered
PENDING_BYTES = 8 * MIB  # and their bytes
ALL_PENDING_BYTES = 128 * MIB  # of all connections together
ALL_PARTIAL_BYTES = 256 * MIB  # of frames that all connections have begun and not ended
PLACES_OF_ONE = 64  # that one connection takes, of those that its network may
FETCHES = 4  # of one connection under way: each brings up to FETCH_BYTES
SUBSCRIPTIONS = 4_096  # queues one connection reads: 64 agents with 64 contacts each
SUBSCRIPTIONS_OF_NETWORK = 65_536  # 1 KB each; loopback is exempt
ALL_SUBSCRIPTIONS = 524_288
READERS = 8  # connections that read one queue; a further one ends the oldest
WINDOW_BLOBS = 64  # of one queue, delivered and not acknowledged
WINDOW_BYTES = 1 * MIB
CONNECTION_WINDOW_BYTES = 4 * MIB  # over all queues of a connection: under what its transport may hold
FETCH_BYTES = 512 * KIB  # blobs in one DELIVER, unless a single one is larger: a frame holds 1 MiB
OUTGOING_BYTES = 8 * MIB  # written and not read by a WebSocket's client: it has stopped reading
ALL_OUTGOING_BYTES = 256 * MIB  # of all clients together; those that hold the most are ended
STOP_NOTICE_MS = (500, 5_000)  # a client comes back between these: not all at once
RETRY_BUSY_MS = 100  # the store is behind
RETRY_AWAY_MS = 1_000  # the server that keeps the store does not answer
RETRY_FULL_MS = 30_000  # people empty a disk, or expiry does
DRAIN_S = 5.0  # a stopping bridge finishes what it has begun within this

# --- connections ---
LEAST_PER_S, LEAST_AT_ONCE = (
    2.0,
    8,
)  # requests, including proofs, that no other connection of its network can take from one
LEAST_BYTES_PER_S, LEAST_BYTES_AT_ONCE = 64 * KIB, 1 * MIB  # and bytes: a blob of the largest
LEAST_FRAMES_PER_S, LEAST_FRAMES_AT_ONCE = 32.0, 256
LEAST_REFUSALS_PER_S, LEAST_REFUSALS_AT_ONCE = 4.0, 128  # twice what a client has under way
UPGRADES = 512  # accepted by TCP whose WebSocket is not open yet: 0.2 MB each with TLS
UPGRADES_OF_NETWORK = 64  # an office that comes back at once; loopback is exempt
FRAMES_PER_REQUEST = 2  # of a WebSocket: requests come one in a frame, or many; beside them are pings
PIECE_BYTES = 16 * KIB  # of what a WebSocket brings, parsed at once: 3,000 of the least frames, some 30 ms
UPGRADE_BYTES = 16 * KIB  # of a request with its headers
CONNECTIONS = 10_000
CONNECTIONS_PER_NETWORK = 512  # an office behind one address; loopback is exempt
PATIENCE_S = 10.0  # that a connection of an unknown client has, once others find no place
VOUCHED_OF_ACCOUNT = 8  # connections that never make room for others: a node has one, and now and then a second
VOUCHED_OF_NETWORK = 256  # and of all accounts there
HANDSHAKES_OF_NETWORK = 64.0  # of these a second, by TCP, and four times as many at once: an office that comes back
REFUSED_AT_ONCE = 64  # connections, before other work has its turn
HANDSHAKES_PER_S = 256  # a handshake costs 2 ms
NETWORKS = 65_536  # whose pace is remembered

# --- meeting places ---
PLACES = 10_000  # shown at once
PLACES_OF_NETWORK = 64  # of these: so many people behind one address may show a code
PLACE_MS = 600_000  # a code lives ten minutes
ABANDONED_PLACE_MS = 60_000  # whose displayer hung up: a change of network or a restart of the bridge takes less
LONELY_PLACES = 1_024  # that only a joiner took, beside those that are shown
LONELY_PLACES_OF_NETWORK = 16
LONELY_PLACE_MS = 60_000  # the displayer comes first, or soon
PLACE_MESSAGES = 16  # kept for a side that is away: a run has three each way
PLACE_BYTES = 1 * MIB  # and their bytes
PLACE_BYTES_OF_NETWORK = 8 * MIB  # kept for sides that are away: a run has some ten kilobytes
ALL_PLACE_BYTES = 256 * MIB

# --- the store ---
BLOB_LEAST_BYTES = 2 * BLOB_FLOOR_BYTES  # a bridge that accepts no more than this still carries short messages
BATCH_ITEMS = 1_024  # requests in one transaction
BATCH_BYTES = 16 * MIB
UPKEEP_EVERY_S = 15.0  # between rounds that drop expired data and read the store's figures
EXPIRE_BLOBS = 4_096  # forgotten in one transaction
QUEUE_IDLE_DAYS = 90  # a queue nobody read for so long is forgotten, and a further account of that age without one
BLOB_COST = 512  # bytes that keeping a blob takes beside its content: rows, indexes, half-filled pages
SCARCE = 0.5  # of what open accounts may hold together: from here on a newcomer has to work
RESERVE = 0.25  # of it, for networks that have been here: shared evenly
SETTLED_MS = 600_000  # a network counts as known after this: a flood fills what is left in less
OPEN_DISK = 0.75  # of a disk that open accounts may fill: the rest is for those with tokens, and for SQLite's log
SETTLE_EVERY_MS = 10_000  # between counts of them: each looks at all
CURSOR_SLACK_US = DAY_S * 1_000_000  # a reader's cursor may be ahead of this clock by so much


@dataclass(frozen=True, slots=True)
class Pace:
    """A token bucket: so many a second, so many at once."""

    per_s: float
    burst: float

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError("a pace is positive")


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits that an operator may choose. Sizes in bytes."""

    blob_bytes: int = BLOB_BYTES
    queue_blobs: int = 10_000
    queue_bytes: int = 64 * MIB
    kept_s: int = 14 * DAY_S  # a blob that nobody acknowledged
    account_queues: int = 4_096
    account_bytes: int = 1024 * MIB
    network_accounts: int = 256  # open accounts of one network: an IPv4 address, a /64 of IPv6
    network_queues: int = 8_192  # and theirs together: two nodes with 64 agents of 64 contacts
    network_bytes: int = 256 * MIB
    open_accounts: int = 65_536  # all accounts without a token: 300 bytes each here
    open_queues: int = 262_144  # and theirs together: counted in a second at the start
    open_bytes: int = 4_096 * MIB  # and no more than OPEN_DISK of what the disk has room for
    token_accounts: int = 64  # accounts that a token admits, unless it was created for another number
    work_bits: int = 18  # of a stamp for a public queue: a fifth of a second
    disk_reserve: int = 64 * MIB  # kept free: what acknowledging, expiry and SQLite's log of changes need at most
    requests: Pace = Pace(2_000, 8_000)  # of one connection
    traffic: Pace = Pace(16 * MIB, 64 * MIB)  # bytes of one connection
    proofs: Pace = Pace(200, 8_192)  # of one connection: each is a signature to verify; a node may have 4,096 queues
    refusals: Pace = Pace(256, 4_096)  # of one connection, and messages of unknown types; then it is ended
    meets: Pace = Pace(1, 30)  # of one connection: places are few, and guessing at them is slow
    per_network: int = 4  # a network has the pace of so many connections; loopback is exempt

    def __post_init__(self) -> None:
        counts = (self.queue_blobs, self.queue_bytes, self.kept_s, self.account_queues, self.account_bytes)
        of_one = (self.network_accounts, self.network_queues, self.network_bytes)
        of_all = (self.open_accounts, self.open_queues, self.open_bytes)
        if min(*counts, *of_one, *of_all, self.token_accounts, self.per_network) < 1 or self.disk_reserve < 0:
            raise ValueError("every quota is at least 1")
        if not BLOB_LEAST_BYTES <= self.blob_bytes <= BLOB_BYTES:
            raise ValueError(f"a blob has {BLOB_LEAST_BYTES} to {BLOB_BYTES} bytes")
        if self.queue_bytes < self.blob_bytes:
            raise ValueError(f"a queue holds at least one blob of {self.blob_bytes} bytes")
        if not 0 <= self.work_bits <= WORK_BITS_MAX:
            raise ValueError(f"work is 0 to {WORK_BITS_MAX} bits")
