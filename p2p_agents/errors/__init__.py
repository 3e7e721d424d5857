"""One tree of errors, split by whose fault it is. A code is stable for ever; a message may improve.

    P2PError
    ├── LocalFault         the caller asked for something that cannot be: usage, names, sizes, unknown things
    ├── PeerFault          bytes from a peer that break the protocol; never shown to an agent as its own mistake
    ├── EnvironmentFault   this machine: disk, network, another process
    └── Bug                what nobody foresaw

`code`, `exit` and `retryable` travel to the command line unchanged; docs/errors.md is drawn from these classes. The
peer's branch is in peer.py, the environment's in environment.py; bridge.py, consent.py, identity.py, message.py,
pairing.py and scan.py hold what concerns those; bridge/faults.py holds what a bridge alone raises.
Foreign exceptions are translated into this tree once, at the seam that received them.

A message begins in lower case, unless its first word is a name such as QUIC, and has no full stop: it is printed after
`p2p-agents: `. What to do about it is the hint's.
"""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.bridge import (
    BadBridge,
    BridgeFailed,
    BridgeImpostor,
    BridgeRefused,
    BridgesFull,
    BridgeUnknown,
    BridgeUnreachable,
    TunnelMissing,
)
from p2p_agents.errors.consent import (
    AddressExpired,
    AddressTooLong,
    AllowlistFull,
    BadAddress,
    ContactFrozen,
    NoBridge,
    NotAContact,
    NotListed,
    PeerBlocked,
    RequestUnknown,
)
from p2p_agents.errors.environment import (
    AlreadyRunning,
    EnvironmentFault,
    NodeTooNew,
    NodeTooOld,
    NodeUnreachable,
    NoPostQuantum,
    NoSocket,
    StoreBroken,
    StoreFull,
    StoreNewer,
    StoreReadOnly,
    StoreUncertain,
    UnsafeHome,
)
from p2p_agents.errors.fault import LocalFault, P2PError, as_message
from p2p_agents.errors.identity import (
    AlreadyHere,
    BackupDamaged,
    BackupOutdated,
    BackupPassphrase,
    BackupTruncated,
    BackupVersion,
    BadKeyFile,
    BadPassphrase,
    DeviceRevoked,
    DeviceUnknown,
    FileExists,
    FileUnusable,
    IdentityBehind,
    IdentityFull,
    KeysBroken,
    NextRootMissing,
    NextRootWrong,
    OwnDevice,
    RemovedHere,
    RootElsewhere,
)
from p2p_agents.errors.message import CursorUnknown, MessageUnknown, ReaderUnknown
from p2p_agents.errors.pairing import (
    BadCode,
    CodeDead,
    CodeExpired,
    CodePurpose,
    CodeUsed,
    CodeWrong,
    NobodyFound,
    NumberDiffers,
    PairCancelled,
    PairFailed,
    PairUnknown,
)
from p2p_agents.errors.peer import (
    BadIdentity,
    BadSeal,
    BadSignature,
    Flood,
    Gap,
    IdentityFork,
    IdentityRollback,
    Malformed,
    PeerFault,
    Replayed,
    UnknownVersion,
)
from p2p_agents.errors.scan import (
    CameraUnavailable,
    ForeignCode,
    ImageBroken,
    ImageTooLarge,
    ImageUnreadable,
    NoCamera,
    NoCodeFound,
    NotAnImage,
    ScanUnavailable,
    SeveralCodes,
)

__all__ = [
    "AddressExpired",
    "AddressTooLong",
    "AllowlistFull",
    "AlreadyHere",
    "AlreadyRunning",
    "BackupDamaged",
    "BackupOutdated",
    "BackupPassphrase",
    "BackupTruncated",
    "BackupVersion",
    "BadAddress",
    "BadBridge",
    "BadCode",
    "BadIdentity",
    "BadKeyFile",
    "BadPassphrase",
    "BadSeal",
    "BadSignature",
    "BridgeFailed",
    "BridgeImpostor",
    "BridgeRefused",
    "BridgeUnknown",
    "BridgeUnreachable",
    "BridgesFull",
    "CameraUnavailable",
    "CodeDead",
    "CodeExpired",
    "CodePurpose",
    "CodeUsed",
    "CodeWrong",
    "ContactFrozen",
    "CursorUnknown",
    "DeviceRevoked",
    "DeviceUnknown",
    "EnvironmentFault",
    "FileExists",
    "FileUnusable",
    "Flood",
    "ForeignCode",
    "Gap",
    "IdentityBehind",
    "IdentityFork",
    "IdentityFull",
    "IdentityRollback",
    "ImageBroken",
    "ImageTooLarge",
    "ImageUnreadable",
    "KeysBroken",
    "LocalFault",
    "Malformed",
    "MessageUnknown",
    "NextRootMissing",
    "NextRootWrong",
    "NoBridge",
    "NoCamera",
    "NoCodeFound",
    "NoPostQuantum",
    "NoSocket",
    "NobodyFound",
    "NodeTooNew",
    "NodeTooOld",
    "NodeUnreachable",
    "NotAContact",
    "NotAnImage",
    "NotListed",
    "NumberDiffers",
    "OwnDevice",
    "P2PError",
    "PairCancelled",
    "PairFailed",
    "PairUnknown",
    "PeerBlocked",
    "PeerFault",
    "ReaderUnknown",
    "RemovedHere",
    "Replayed",
    "RequestUnknown",
    "RootElsewhere",
    "ScanUnavailable",
    "SeveralCodes",
    "StoreBroken",
    "StoreFull",
    "StoreNewer",
    "StoreReadOnly",
    "StoreUncertain",
    "TunnelMissing",
    "UnknownVersion",
    "UnsafeHome",
    "as_message",
]  # what is imported here to be imported from here; every class below is public too


# --- ours: what was asked for cannot be -------------------------------------------------------------------


class Usage(LocalFault):
    """An option or argument is missing, unknown or malformed."""

    code = "usage"
    exit = exits.USAGE
    hint = "run: p2p-agents --help"


class BadName(LocalFault):
    """A name is 1 to 32 letters, digits, dots, dashes or underscores, and starts with a letter."""

    code = "bad_name"
    exit = exits.USAGE
    hint = "choose a name such as alice or build-bot.2"


class BadParams(LocalFault):
    """A parameter of a control method is missing, unknown, of the wrong type, or out of its bounds."""

    code = "bad_params"
    exit = exits.USAGE
    hint = "docs/control.md lists the parameters of every method"


class UnknownMethod(LocalFault):
    """The node has no such method; a newer command may be talking to an older node."""

    code = "unknown_method"
    hint = "run: p2p-agents node stop (the next command starts the installed version)"


class NoAgent(LocalFault):
    """There is no agent to act for."""

    code = "no_agent"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents init NAME"


class AgentExists(LocalFault):
    """An agent of that name already lives on this node."""

    code = "agent_exists"
    exit = exits.REFUSED
    hint = "choose another name, or act for that agent with --as"


class PeerUnknown(LocalFault):
    """No contact, discovered peer or local agent has that name or id prefix."""

    code = "peer_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents peers"


class PeerAmbiguous(LocalFault):
    """Several peers have that name or id prefix; the message lists them."""

    code = "peer_ambiguous"
    exit = exits.USAGE
    hint = "use an id prefix"


class AddressUnknown(LocalFault):
    """That address was never added here, or was already removed."""

    code = "address_unknown"
    exit = exits.NOT_FOUND
    hint = "add one: p2p-agents peers add HOST:PORT"


class TooLarge(LocalFault):
    """The message body is larger than a message may be."""

    code = "too_large"
    exit = exits.REFUSED
    hint = "put the content in a file both sides can reach and send its path"


class BadBody(LocalFault):
    """The body does not fit its type: text must be valid UTF-8, application/json must parse."""

    code = "bad_body"
    exit = exits.USAGE
    hint = "send UTF-8 text, and with --type application/json valid JSON"


class IdConflict(LocalFault):
    """That --id was used before with another recipient or content."""

    code = "id_conflict"
    exit = exits.REFUSED
    hint = "use a new --id, or none"


class OutboxFull(LocalFault):
    """Too many messages to this peer are still undelivered."""

    code = "outbox_full"
    exit = exits.REFUSED
    retryable = True
    hint = "wait for deliveries: p2p-agents show ID says why a message waits"


class WaitTimeout(LocalFault):
    """Nothing arrived in time."""

    code = "timeout"
    exit = exits.TIMEOUT
    retryable = True
    hint = "wait longer with --timeout, or ask again later"


class SendUnconfirmed(LocalFault):
    """The message is kept and will still be delivered, but did not get that far in time; do not send it again."""

    code = "send_unconfirmed"
    exit = exits.TIMEOUT
    hint = "run: p2p-agents show ID"


class SendFailed(LocalFault):
    """The message will not be delivered; the error says why."""

    code = "send_failed"
    exit = exits.REFUSED
    hint = "run: p2p-agents show ID; send it again once that is solved"


class NotReachable(LocalFault):
    """The peer is not connected to this node."""

    code = "peer_unreachable"
    exit = exits.FAILURE
    retryable = True
    hint = "messages to it are kept and delivered when it returns; run: p2p-agents doctor"


class HumanRequired(LocalFault):
    """Only a human at a terminal may do this."""

    code = "human_required"
    exit = exits.HUMAN
    hint = "have a human run this command at a terminal"


class Busy(LocalFault):
    """The node has reached a limit that protects it, and refuses more."""

    code = "busy"
    exit = exits.REFUSED
    retryable = True
    hint = "try again in a moment"


class Bug(P2PError):
    """The node failed in a way that nobody foresaw; it logged the error and goes on."""

    code = "internal"
    hint = "run: p2p-agents node logs, and report what it says"


BRANCHES: tuple[type[P2PError], ...] = (LocalFault, PeerFault, EnvironmentFault, Bug)


def all_errors(package: str = "p2p_agents") -> list[type[P2PError]]:
    """Every concrete error that stands in a package, in the order of the branches: a bridge in the same process has
    some of its own."""

    def walk(kind: type[P2PError]) -> list[type[P2PError]]:
        below = [error for sub in kind.__subclasses__() for error in walk(sub)]
        here = "code" in vars(kind) and kind.__module__.partition(".")[0] == package
        return [kind, *below] if here else below

    return [error for branch in BRANCHES for error in walk(branch)]
