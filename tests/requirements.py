"""The invariants of the protocol by number, and which of them tests must show. Tests name them in their docstrings."""

from __future__ import annotations

IN_SCOPE: dict[str, str] = {
    "A1": "an entry is a signature over its claims; its body is hashed, salted and purgeable",
    "A2": "integers are bounded, a lamport leap is refused, unknown kinds are stored",
    "A3": "one hash chain per device; branches of other epochs are rollbacks, two hashes at one place equivocation",
    "A4": "entries once per node, a log per agent; a cursor carries its store's generation",
    "A5": "entries and log are append-only; a purge leaves no term and no byte of the body",
    "A6": "one transaction per batch, a savepoint per item; memory and effects wait for the commit",
    "A7": "register the waiter, then look, then sleep; wake after the commit",
    "B1": "owed is my log minus what the peer holds; SYNC says what is held",
    "B2": "sign at accept, seal when there is window; what is sent again is byte-identical",
    "B3": "acknowledgements are cumulative and carry a running hash; the window is bounded and never deadlocks",
    "B4": "a frame that opens is settled by verdicts, whatever it says: no poison",
    "B5": "what does not open is dropped or asked for again, never a reset; gap buffers are bounded",
    "B6": "expiry leaves a void, or `unconfirmed` that `delivered` may overtake",
    "B7": "the bridge's acceptance is `relayed` and frees nothing; what was committed is acknowledged to it",
    "B8": "receipts are watermarks; `read` comes from the default reader alone",
    "B9": "state per device, the best is shown; display order is (lamport, device)",
    "B10": "an idempotency key is kept, answers what became of it, and conflicts with other content",
    "B11": "crossing requests accept each other; a request is offered again and is never a second copy",
    "B12": "a clock that jumps destroys nothing; expiry follows an attempt to deliver",
    "C1": "credit per link, granted after the commit; more than granted ends the connection",
    "C2": "HELLO proves a device for one link of one connection; nothing is accepted before",
    "C3": "send on the newest link, receive on all; claims close nothing, a newer incarnation replaces ghosts",
    "D1": "sessions are sealed to single-use keys; prekeys are renewed and destroyed",
    "D2": "a turn within a second of hearing from the peer, whatever the clock does",
    "D3": "gens rise; a reset is asked for with a fresh key and inherits what both hold",
    "D4": "one pending init and two sessions per device pair",
    "D5": "turn and n are checked before use",
    "E1": "a device belongs to one agent, by the consent of both",
    "E2": "a rotate with the pre-image supersedes what a thief wrote; two rotates freeze; restore always rotates",
    "E3": "what a revoked device wrote and nobody held is refused, unless a live device signs a cut that leads to it",
    "E4": "trust rises by decisions only",
    "E5": "an announced name is pinned to the first id that used it",
    "F1": "a pairing code serves once, lives ten minutes and few wrong tags; a joiner's tries are on disk first",
    "G1": "what lies at a bridge is sealed once more, with a floor of 4 KiB",
    "H1": "a store of a newer release is refused untouched",
    "H2": "a reader acknowledges what it was shown and nothing else",
    "H3": "a committed send is a success",
}

LATER: dict[str, str] = {
    "H4": "same-host hints are tagged",
    "H5": "what is stated in docs",
}
