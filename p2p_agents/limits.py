"""Every bound and timeout: a name, a unit, a reason. The code that enforces a bound says what happens beyond it."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# --- numbers and bytes on the wire ---
DAY_MS = 86_400_000
DAY_S = 86_400
INT_MAX = 2**53 - 1  # the largest integer every JSON and CBOR reader agrees on
DATE_MS_MAX = 253_402_300_799_999  # the end of the year 9999: the last moment that RFC 3339, and Python, can write
CBOR_DEPTH = 8  # our deepest structure, a SYNC, has 7
CBOR_BYTES = 1 * MIB  # nothing decoded is larger than the largest frame
CBOR_ITEMS = 131_072  # values in one decoded structure: twice the verdicts of a full acknowledgement
FRAME_BYTES = 1 * MIB  # one stream frame: the largest body, its padding and its signature fit twice
BODY_BYTES = 256 * KIB  # one message body; larger things are files, not messages
HEADERS_BYTES = 4 * KIB  # an entry's header map: types, reply-to, room for more
KIND_CHARS = 64
REASON_CHARS = 200  # why something was given up: one line for people
TEXT_PREVIEW_BYTES = 1 * KIB  # text an unknown peer may send before it is accepted
NAME_CHARS = 32  # an agent name fits a DNS label and a terminal column
ROSTER_AGENTS = 64  # agents one node announces on a connection

# --- identity and sessions ---
IDENTITY_ENTRIES = 256  # one identity log: a device a week for five years
IDENTITY_ENTRY_BYTES = 1 * KIB  # the longest kind, add-device with a full name, takes under 500 bytes
SHORT_LOG = 8  # entries of a usual identity log; a longer one costs up to 30 ms to verify
SHORT_LOGS_KEPT = 1_024  # verified ones: at most 8 KiB each
LONG_LOGS_KEPT = 32  # verified ones, at most 256 KiB each: those of contacts with many devices
BUNDLE_BYTES = 4 * KIB  # a signed key bundle takes 1.4 KiB
PREKEY_DAYS = 7  # a new prekey weekly
PREKEY_KEPT_DAYS = 30  # the old private part opens late first flights, then is destroyed
BUNDLE_LIFE_MS = (PREKEY_DAYS + PREKEY_KEPT_DAYS) * DAY_MS  # how long a bundle is good: until its prekey is destroyed
TURN_MS = 1_000  # healing takes a second (PROTOCOL D2)
TURN_MESSAGES = 64  # or this many messages
UNACKED_FRAMES = 1_024  # sealed frames the peer has not acknowledged (PROTOCOL B3)
UNACKED_BYTES = 1 * MIB  # and their bytes: what one link may leave in the sender's buffers
GAP_FRAMES = 64  # early frames kept as ciphertext while the gap before them is asked for
GAP_CANDIDATES = 4  # different frames kept for one position: a forgery must not displace the real one
GAP_BYTES = 2 * MIB  # of one session
GAP_POOL_BYTES = 32 * MIB  # and of all sessions together: beyond, early frames are dropped and come again
PADDING_FLOOR = 256  # bytes: short messages all look alike
PARSED_KEYS = 256  # parsed KEM public keys kept: a parse costs 30 us, a kept key some 5 KiB
LAMPORT_LEAP = 2**20  # a lamport further ahead than this is refused (PROTOCOL A2)
SYNC_TIPS = 64  # epochs of one chain named in a SYNC: older ones are their ancestors
STALLED_S = 10.0  # without an acknowledgement for this long, the peer is asked for its view; next after twice as long
STALLED_ASKS = 2  # then links and sessions start afresh, a minute after the first question
SYNCS_BURST = 16  # that one device of a contact may send at once: each is compared with all that is held
SYNCS_PER_S = 2  # and sustained: an honest one sends one when views differ; more are skipped, unread
EPOCHS_PER_DAY = 1_024  # of one device of a contact, each an opening of its store: comparing views costs time for each
SYNC_EVERY_MS = 1_000  # a disagreement causes at most one SYNC a second

# --- batching ---
BATCH_ENTRIES = 64  # entries in one sealed frame under load
ACK_PATIENCE_S = 0.005  # an acknowledgement waits this long for a message to ride with: a quick answer's time
ECHOES_PER_FRAME = 16  # pings in one sealed frame
BATCH_BYTES = 64 * KIB  # and their bytes: a slow reader is never far from the next frame

# --- links and connections ---
LINKS_PER_CONNECTION = 4_096  # agent pairs of one node pair: 64 agents on each side
LINKS_OF_A_PAIR = 4  # of two agents: one, two if both sides dialled, and as many again that are dead but unnoticed
PLACES_OF_A_CONTACT = 16  # connections kept while others find no place: a few devices, dialled from both sides
STRANGER_LINKS = 16  # of agents that are not contacts, on one connection; a link costs some 10 KiB
STRANGER_LINKS_NEAR = 512  # on a connection from this machine, or from a contact's node: a crowd of agents, in 5 MiB
DIALS = 64  # under way at once: invented records must not make us a flood
DIALS_OF_RECORDS = 32  # of which so many may go where only a record points, so that contacts are always dialled
PROVEN_ADDRESSES = 16  # of one node, where links came to life: twice what the store keeps of a contact
HEARD_ADDRESSES = 64  # of one node, by hearsay: tried in turns, so that dead ones delay others but never hide them
LINK_CREDIT_BYTES = 1 * MIB  # granted to one link
LINK_CREDIT_LEAST_BYTES = 768 * KIB  # granted to each of many links
SESSION_FRAME_BYTES = LINK_CREDIT_LEAST_BYTES // 2  # a sealed frame: credit is renewed at half; larger ones would wait
CREDIT_POOL_BYTES = 64 * MIB  # granted to all links of the node together
EXTENSION_KEYS = 32  # in the map by which later releases extend a structure
EXTENSION_BYTES = 1_024  # of it, encoded: a signed hello has room for so much beside its keys
EXTENSION_DEPTH = 3  # containers in each other, the map itself included
FEATURES = 32  # that one peer announces
SUITES = 8
CONTROL_FRAMES_BURST = 256  # frames outside credit (hello, sync, presence) at once, per connection
CONTROL_FRAMES_PER_S = 32  # and sustained; this machine and contacts may send more, as their work allows
CONTROL_FRAME_BYTES = 4 * KIB  # a larger one counts as several
UNPROVEN_WORK = 64  # that a connection without a contact may cause: two links; 1 is some 0.1 ms of a core
STRANGERS_WORK_BURST = 20_000  # that all connections without a contact may cause beyond that, at once
STRANGERS_WORK_PER_S = 2_500  # and sustained: a quarter of a core
CONTACTS_WORK_BURST = 40_000  # that contacts' connections may cause beyond their frames: two crowds of 400 agents, 4 s
CONTACTS_WORK_PER_S = 5_000  # and sustained: half a core
LOG_BYTES_PER_WORK = 256  # of an identity log: the shortest kind of entry has this much for each of its signatures
UNPROVEN_FRAME_BYTES = 320 * KIB  # a frame before any HELLO held: the longest identity log fits
VERDICTS_HELD = 16_384  # held back because the peer grants no credit to acknowledge them: it is flooding
OPENS_BURST = 24  # links we open on a connection at once: each takes some 9 control frames, the peer's opens included
OPENS_PER_S = 3  # and sustained
OPENS_NEAR_BURST = 240  # on a connection of this machine, or to a contact's node: each costs 60 units of work at most
OPENS_NEAR_PER_S = 40  # and sustained: two crowds at once stay under what all contacts, or strangers, may ask
INBOUND_QUEUE_BYTES = 4 * MIB  # of one connection, waiting for the writer: its links' credit and a frame or two
CONNECTIONS = 512  # one node's QUIC connections
CONNECTIONS_PER_NETWORK = 64  # without a contact's link, from one IPv4 address or IPv6 /64: a LAN of 128 nodes
STRANGER_PATIENCE_S = 2.0  # a connection without a contact's link keeps its place this long while others find none
HANDSHAKES_PER_S = 64  # new connections from proven addresses, and half as many from others: a handshake costs 2 ms
PROOF_LIFE_S = 5.0  # a dialer that was told to prove its address does so within a dial
DIAL_TIMEOUT_S = 3.0  # one dial; candidates are dialled in parallel
HELLO_TIMEOUT_S = 10.0  # an accepted connection without a link is closed after this, unless its node is nearby (C3)
LATELY_S = 3.0  # agents that a node named are known for this long after it hung up: it is redialled within a second
HEARTBEAT_S = 3.0  # a quiet connection is pinged this often
IDLE_TIMEOUT_S = 9.0  # heartbeat + this is under the 15 s in which a crashed peer must be noticed
SEND_BACKLOG_BYTES = 8 * MIB  # written but not acknowledged on one connection: the peer has stopped reading
STREAM_WINDOW_BYTES = 512 * KIB  # QUIC credit beyond what was delivered: the most one peer can make us reassemble
BULK_STREAMS = 4  # transfers that come on one connection at once, and as many that go (ROOMS K4)
BULK_STREAMS_OPEN = 4 * BULK_STREAMS  # of a peer that does not end those we told it to stop
BULK_WINDOW_BYTES = 256 * KIB  # QUIC credit of a transfer beyond what is on disk: more would keep messages waiting
BULK_READ_BYTES = 128 * KIB  # read from a file at once, off the loop
BULK_BACKLOG_BYTES = 512 * KIB  # written to a bulk stream and not acknowledged: a window and what is to follow it
BULK_PIECE_BYTES = 1 * MIB  # of a transfer, verified by itself: what is whole on disk is never sent twice (ROOMS K2)
BULK_BYTES = 2 * 1024 * MIB  # one transfer: 64 KiB of hashes of its pieces
BULK_SYNC_BYTES = 16 * MIB  # written without being forced to the disk
BULK_TRANSFERS = 64  # wanted or given by a node at once
BULK_STALL_S = 30.0  # a transfer moves BULK_STALL_BYTES in this time, or is given up
BULK_STALL_BYTES = 256 * KIB  # 8 KiB a second: slower links than that carry messages, not files
BULK_HEAD_BYTES = 128  # what a bulk stream begins with
STREAM_PIECES = 512  # kept of a stream beyond holes in it: twice what a window of alternately lost packets leaves
REASSEMBLY_BYTES = 64 * MIB  # kept so by all connections of an endpoint: 128 full windows whose first byte was lost
CRYPTO_BYTES = 16 * KIB  # of TLS messages at each level of one handshake: a certificate chain of others is 4 KiB
DATAGRAM_FRAMES = 128  # in one datagram: implementations put 40 small ones in one, and pad between them
ACK_RANGES = 256  # in one acknowledgement: implementations keep 32 to 64
ACKS_REMEMBERED = 256  # sent, and not acknowledged themselves: each costs 0.5 KiB
PACKETS_IN_FLIGHT = 16_384  # sent and not acknowledged: 20,000 small messages a second over half a second and more
PEER_CIDS_REMEMBERED = 128  # retired connection ids of the peer whose announcement is known when it is repeated
CIDS_ISSUED = 1_024  # to one peer over a connection's life: one follows each that it retires, as it does when it moves
KEY_UPDATES = 1_024  # asked for by the peer of one connection: implementations ask every 100 MB at most
AMPLIFICATION = 3  # bytes to an address for each that came from it, before it is proven (RFC 9000 section 8.1)
DATAGRAM_BYTES = 1_200  # the UDP payload every path must carry (RFC 9000 section 14)
DATAGRAM_READ_BYTES = 2_048  # larger datagrams are not ours and arrive cut short
RECEIVE_BATCH = 64  # datagrams read per wake, so that other tasks get their turn
SOCKET_BUFFER_BYTES = 1 * MIB  # requested; a smaller kernel maximum will do
CLOSE_REASON_CHARS = 100  # a reason given to or by a peer
CLOSED_REMEMBERED = 256  # connection ids whose CONNECTION_CLOSE is repeated to a peer that missed it
BACKOFF_MIN_S = 0.25
BACKOFF_MAX_S = 30.0  # with full jitter
DISCOVERED_AGENTS = 1_024  # announced peers remembered at once; the oldest unknown ones are dropped first
HINT_BYTES = 64 * KIB  # one node's hint file: every agent of its roster fits
HINT_ENTRIES = 4_096  # directory entries looked at in one go, 10 ms: anybody may write there, so there may be many
HINT_FILES_PER_USER = 64  # so that no other OS user can crowd out one's own
HINT_USERS = 64  # other users whose files are looked at
HINT_AGENTS_PER_USER = 256  # a few nodes of one user, each with a full roster
HINT_AGENTS_OF_OTHERS = 512  # of all other users together: half of DISCOVERED_AGENTS is left to the LAN
HINT_READS_BURST = 64  # files of one user read at once: all it may have
HINT_READS_PER_S = 1  # and sustained: a changed one brings 64 agents, each of which costs the writer 0.2 ms
HINT_READS_OF_OTHERS_BURST = 128
HINT_READS_OF_OTHERS_PER_S = 4  # of all other users together: having many user ids gives nobody more

# --- requests ---
REQUESTS_PENDING = 256  # per agent, over all unknown peers
REQUESTS_STAY = (
    192  # of those for two weeks; in the places beyond the newest takes that of who has waited longest there
)
REQUESTS_PER_MINUTE = 10  # per agent, over all unknown peers
REQUESTS_PER_MINUTE_NEAR = 240  # from this machine, and from nodes of contacts: all that may be pending, at once
REQUEST_AGAIN_S = 60.0  # a request dropped in a crowd is offered again after this, if the link lasts
REQUEST_AGAIN_STEADY = 5  # this many times; then half as often each time
REQUEST_AGAIN_MAX_S = 3600.0  # but at least hourly
REQUEST_DAYS = 14  # without an answer: failed, not accepted
INTRODUCTIONS_PENDING = 256  # per agent, over all introducers
INTRODUCTIONS_PER_DAY = 16  # per agent and introducer: a human introduces a few, a flood ends here
CARD_NODES = 4  # where one introduction says an agent lives
CARD_ADDRESSES = 4  # of each node: every one of them may be dialled
KNOCK_BYTES = 64 * KIB  # a request over a bridge, sealed: it shows a whole identity log, of some 200 entries
KNOCKS_PER_MINUTE = 30  # looked at, per agent: each costs a KEM step and two signatures per identity entry
KNOCK_AGAIN_S = 3600.0  # a request that a bridge kept is offered again after this, then ever more rarely
KNOCK_AGAIN_MAX_S = 86_400.0  # but daily: it may have been dropped in a flood
REQUEST_ADDRESS_BYTES = 48 * KIB  # where an agent takes requests; usually 2 KiB, the rest is for long identity logs
REQUEST_ADDRESS_CHARS = 80_000  # the same as text, broken into lines: a shell takes it as one word
ALLOWED_AGENTS = 4_096  # on the allowlist of one agent: more than anybody looks through

# --- log and outbox ---
CONTACT_BYTES_PER_DAY = 1024 * MIB  # that one contact may make us store: a message of 200 bytes every 60 ms
CONTACT_UNREAD_BYTES = 1024 * MIB  # unread messages of one contact: beyond this, further ones wait on its side
FULL_PATIENCE_S = 60.0  # until something is offered again to a peer that had no room; then twice as long each time
FULL_PATIENCE_MAX_S = 900.0
EXPIRY_DAYS = 14  # a message that could not be delivered is given up, and its sender is told
OUTBOX_ENTRIES = 100_000  # owed to one peer
KEY_CHARS = 128  # an idempotency key
PAGE = 50  # messages in one answer unless asked otherwise
PAGE_MAX = 1_000
CHECKED_ENTRIES = 500  # looked at for damage each minute: some 20 ms
GIVEN_AGAIN = 1_000  # entries at most that a peer gives again for one whose body a disk damaged
JOURNAL_STATEMENTS = 4_000  # of a transaction kept in memory to be written again: a full batch writes some 1,500
KNOWN_VALUES = 4_096  # read from rows and remembered: a few for each contact that is written to
PURGE_PAGE = 2_000  # messages deleted in one transaction: nobody waits long for the next
PURGE_S = 600.0  # a command waits so long until everything chosen is deleted: a million messages
PURGE_IDS_CHARS = 64 * KIB  # ids in one call: a thousand whole ones

# --- control ---
CONTROL_LINE_BYTES = 2 * MIB  # one request or answer: the largest body, JSON-escaped, and its frame
CONTROL_LINES_BYTES = 64 * MIB  # of requests that clients have begun: 256 of the largest messages
CONTROL_ANSWER_BYTES = 16 * MIB  # the largest answer a client accepts: a page, every character of it JSON-escaped
PAGE_BYTES = 512 * KIB  # bodies in one answer: the node cuts a page here, two of the largest fit
ANSWERS_BYTES = 32 * MIB  # bodies in all answers under way, of all clients: forty full pages
TEXTS_BYTES = 4 * MIB  # bodies shown last, kept as text: many readers of one message share a copy
CONTROL_CALLS = 1_024  # unanswered requests of one control connection
CONTROL_CLIENTS = 2_048  # a waiting one costs some 12 KiB and an open file
FILES = 512  # open files beside the clients': the store, its copies, sockets, bridges, logs
CONTROL_SILENCE_S = 30.0  # a client that starts a line must finish it within this
NODE_START_S = 30.0  # commands wait this long for a starting node: a cold disk under load; a failure is told at once
WAIT_DEFAULT_S = 60.0
WAIT_MAX_S = 24 * 3600.0
CALL_S = 30.0  # a call that waits for nothing is answered within this, or the node is stuck
ADD_PEER_S = 4.0  # to be answered at an address that was added: a dial may take 3 s
NODE_STOP_S = 10.0  # a stopping node has left its socket and lock within this
NODE_LOG_BYTES = 4 * MIB  # node.log turns over at this size; one older file is kept

# --- pairing and backup ---
PAIRING_CODE_MS = 600_000  # a code lives ten minutes: long enough to walk to another machine
PAIRING_RUN_MS = 20_000  # one run of the exchange; its messages follow each other without delay
PAIRING_RUNS = 8  # of one code at a time; the oldest run that has not answered makes room
PAIRING_WRONG = 3  # wrong tags kill a code, and end a joiner's attempts (PROTOCOL F1)
LINK_FLOORS = 1_500  # chains whose older entries a new device is not given: as many as fit one pairing message
LINK_HISTORY_DAYS = 30  # of conversations that a new device is given, unless its owner says otherwise
LINK_HISTORY_DAYS_MAX = 36_500  # beyond this, all of it
PAIRING_MESSAGE_BYTES = 320 * KIB  # a whole identity log and a bundle fit, sealed
PAIRING_SHOWN = 4  # codes one node shows at once; each has two places to meet, one for its words, one for its picture
PAIRING_PLACES = 8  # that a NODE names: those of codes being shown, then of codes that just ended
PAIRING_REMEMBERED = 64  # ended codes whose outcome can still be asked for
PAIRING_TRIES_MS = DAY_MS  # tries are remembered for a day: the code they were made with is dead long before
OOB_ADDRESSES = 4  # in a scanned code: more would not fit a small terminal
OOB_CHARS = 512  # of a scanned text that are read
IMAGE_BYTES = 32 * MIB  # a file with a picture of a code: several times a phone's photo
IMAGE_PIXELS = (
    36_000_000  # of it, by its header, at up to 16 bytes each while it is decoded: an 8K screen has 33 million
)
PHOTO_PIXELS = 64_000_000  # of a JPEG, which is decoded at a fraction: a phone's largest photos have 50 million
CAPTURE_BYTES = 1 * MIB  # a terminal capture: a day's output
CAMERA_S = 60.0  # a camera is looked through for this long
OOB_SKEW_MS = 300_000  # clocks of two machines may differ by this; the displayer's decides
NEXT_ROOT_FILE_BYTES = 1 * KIB  # three short lines
CUT_TIPS = 256  # entries of a revoked device that one cut names
BACKUP_KDF_KIB = 256 * 1024  # Argon2id memory: a second of one core, and a guess costs as much
BACKUP_KDF_PASSES = 3
BACKUP_KDF_LANES = 4
BACKUP_KDF_MAX_KIB = 1024 * 1024  # the most a foreign header may ask of us
BACKUP_KDF_MAX_PASSES = 16
BACKUP_CHUNK_BYTES = 1 * MIB  # one sealed piece of the file
BACKUP_CONTACTS = 4_096
BACKUP_S = 600.0  # a command waits this long for a backup to be made or imported: a million messages
PASSPHRASE_CHARS_LEAST = 8  # shorter ones can be guessed, whatever a guess costs
PASSPHRASE_CHARS = 1_024

# --- the clock ---
CLOCK_JUMP_MS = 60_000  # a larger step of the wall clock against the monotonic one is a jump (PROTOCOL B12)
CLOCK_TRUST_S = 600.0  # and is believed after this
CLOCK_KEPT_MS = 600_000  # of elapsed time that may be lost when the machine is switched off

# --- the doctor ---
PROBE_S = 3.0  # a packet that it sends to this machine itself has arrived by then, even on a busy one
PROBE_AGAIN_S = 0.5  # and is sent again this often until then
PROBE_BYTES = 512
PROBED_PLACES = 8  # addresses or interfaces; more are virtual ones
STORE_CHECK_S = 2.0  # the doctor checks the pages of the store for this long; a larger store is not checked
DISK_PROBE_BYTES = 1 * MIB  # it writes this and removes it: the longest message with what the store keeps of it
DISK_LOW_BYTES = 64 * MIB  # free space below which it warns

# --- the bridge ---
BLOB_BYTES = 512 * KIB  # one sealed blob in a queue: the largest frame with its padding and verdicts
BLOB_FLOOR_BYTES = 4 * KIB  # short blobs all look alike, and a first flight like a word (PROTOCOL G1)
BLOB_FRAMES = 256  # frames in one blob
QUEUE_FRAMES_BURST = 64  # frames of a queue other than DATA, at once: an honest peer sends one or two a minute
QUEUE_FRAMES_PER_S = 1  # and sustained; more is skipped, unread
TOLD_PLACES_BURST = 8  # dials that a contact's word causes, at once: its word does not prove an address
TOLD_PLACES_PER_S = 1 / 15  # and sustained: an honest one says it twice a minute
TOLD_ROUTES_BURST = 8  # changes of bridges that one contact may tell, at once
TOLD_ROUTES_PER_S = 1 / 600  # and sustained: each may make us connect to an address that somebody else chose
DELIVERED_BLOBS = 64  # in one message of a bridge
MEETING_BYTES = PAIRING_MESSAGE_BYTES + KIB  # one message of a meeting place: a pairing message and its run
WORK_BITS_MAX = 28  # a bridge that asks for more work than half a minute is asking for too much
BRIDGES = 64  # connected to at once: one's own few, and those contacts are reached at
BRIDGES_CONFIGURED = 16  # a node keeps trying all of them
WORK_BITS_DONE = 22  # the most we do for one request: 4 s of a core; 18 are usual, a fifth of a second
WORK_TRIES = 1 << 15  # hashes in one go, so that other threads get their turn: 25 ms
BRIDGE_QUIC_LEAD_S = 1.0  # if QUIC has not answered by then, a WebSocket is tried beside it
BRIDGE_UPGRADE_S = 300.0  # between checks whether QUIC works now, while a WebSocket serves
BRIDGE_KNOCK_S = 10.0  # one attempt to connect: names resolved, TLS, the bridge's proof
BRIDGE_MESSAGE_BYTES = 4 * MIB  # one message of a WebSocket: whole frames, a few of the largest
BRIDGE_PING_S = 10.0  # a quiet WebSocket is asked this often, and given up after as long
BRIDGE_STEADY_S = 10.0  # a connection that held this long did not fail: the next attempt comes soon
BRIDGE_REQUESTS = 64  # unanswered on one connection
BRIDGE_REQUESTS_BYTES = 4 * MIB  # and their bytes: half of what one connection may leave unsent
BRIDGE_REQUEST_S = 30.0  # a bridge that answers nothing for this long is gone: its disk takes less than that
BRIDGE_WAITING_BYTES = 16 * MIB  # blobs on their way to one bridge; beyond, they stay in the outbox
BRIDGE_RETRY_S = 60.0  # until a refusal that names no time is tried again: an operator may have made room
BRIDGE_RESTART_S = 300.0  # a bridge that says it is restarting is believed for this long
