"""Exit codes of the command line: a contract."""

from __future__ import annotations

OK = 0
FAILURE = 1
USAGE = 2
NOT_FOUND = 3
TIMEOUT = 4
REFUSED = 5
HUMAN = 6
NODE = 7
INTERRUPTED = 130

MEANINGS: dict[int, str] = {
    OK: "done; an empty list is a success too, and so is a send that was accepted but not yet delivered",
    FAILURE: "failure: the message names what, its bound, and what to do",
    USAGE: "usage: an unknown option, a missing or malformed argument",
    NOT_FOUND: "not found: no such agent, peer, message, request or cursor",
    TIMEOUT: "timeout: nothing happened within the wait; for send --wait the message stays accepted",
    REFUSED: "refused: policy, trust, or a limit said no",
    HUMAN: "a human must act",
    NODE: "the node itself is out of reach",
    INTERRUPTED: "interrupted",
}
