"""The errors of pairing and of trust. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import LocalFault


class BadCode(LocalFault):
    """That is not a pairing code: two words of the list and five characters, such as CORAL-FIDDLE-7Q2MX."""

    code = "bad_code"
    exit = exits.USAGE
    hint = "type it as the other side shows it: WORD-WORD-XXXXX"


class CodeWrong(LocalFault):
    """The two sides used different codes, or somebody stands between them."""

    code = "code_wrong"
    exit = exits.REFUSED
    hint = "compare the words with what the other side shows, and type them again"


class CodeDead(LocalFault):
    """The pairing code was used, taken back, guessed at too often, or has expired."""

    code = "code_dead"
    exit = exits.REFUSED
    hint = "have the other side show a new code"


class CodeExpired(CodeDead):
    """The pairing code has expired; it is valid for ten minutes."""

    code = "code_expired"


class CodeUsed(CodeDead):
    """The pairing code was already used; each works once."""

    code = "code_used"


class CodePurpose(CodeDead):
    """That code is for something else: contacts and linked devices each need a code of their own kind."""

    code = "code_purpose"
    hint = "use the same on both sides; a contact: p2p-agents pair; a device: p2p-agents pair --link-device"


class NobodyFound(LocalFault):
    """No node within reach shows that code."""

    code = "nobody_found"
    exit = exits.NOT_FOUND
    retryable = True
    hint = (
        "compare the last five characters; if the nodes cannot see each other, run: p2p-agents peers add HOST:PORT,"
        " or let both use one bridge: p2p-agents bridge add ADDRESS"
    )


class PairFailed(LocalFault):
    """The exchange broke off, or one side could not save the result."""

    code = "pair_failed"
    exit = exits.REFUSED
    hint = "show a new code and try again"


class PairCancelled(LocalFault):
    """The pairing code was taken back before anybody used it."""

    code = "pair_cancelled"
    exit = exits.REFUSED
    hint = "show a new code: p2p-agents pair"


class PairUnknown(LocalFault):
    """This agent shows no such code; codes end when the node restarts."""

    code = "pair_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents pair"


class NumberDiffers(LocalFault):
    """That is not the safety number of these two agents."""

    code = "number_differs"
    exit = exits.REFUSED
    hint = "if the other side shows a different number, somebody may stand between you: do not trust this contact"
