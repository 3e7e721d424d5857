"""The errors of one's own identity: keys, devices, backups. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import LocalFault


class NextRootMissing(LocalFault):
    """The next root key of this agent is not on this machine."""

    code = "next_root_missing"
    exit = exits.REFUSED
    hint = "name the file it was exported to: --next-root FILE"


class NextRootWrong(LocalFault):
    """That is not the next root key that the agent's identity log commits to."""

    code = "next_root_wrong"
    exit = exits.REFUSED
    hint = "use the file of the latest export; every rotation commits to a new key"


class RootElsewhere(LocalFault):
    """The root key of this agent is on another installation."""

    code = "root_elsewhere"
    exit = exits.REFUSED
    hint = "run this on the machine where the agent was created or restored"


class KeysBroken(LocalFault):
    """The key file of this agent is missing or damaged, so the agent cannot act; other agents of this node can."""

    code = "keys_broken"
    exit = exits.REFUSED
    hint = "restore that file from a copy of the state directory, or run: p2p-agents backup import FILE"


class AlreadyHere(LocalFault):
    """The agent that shows this code already lives on this machine."""

    code = "already_here"
    exit = exits.REFUSED
    hint = "type the code on the machine that you want to add"


class RemovedHere(LocalFault):
    """The agent that shows this code was removed from this machine, and is not linked to what it left here."""

    code = "removed_here"
    exit = exits.REFUSED
    hint = "import a backup of it; or link it under another home: set P2P_AGENTS_HOME to an empty directory"


class BadKeyFile(LocalFault):
    """The file holds no next root key."""

    code = "bad_key_file"
    exit = exits.USAGE
    hint = "give the file exactly as identity export-next-root wrote it"


class IdentityFull(LocalFault):
    """The identity log is full: it holds 256 entries."""

    code = "identity_full"
    exit = exits.REFUSED
    hint = "create a new agent: p2p-agents init NAME"


class DeviceUnknown(LocalFault):
    """The agent has no live device with that key or name."""

    code = "device_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents devices list"


class OwnDevice(LocalFault):
    """An installation cannot revoke itself: nothing would be left to speak for the agent here."""

    code = "own_device"
    exit = exits.REFUSED
    hint = "revoke it from another installation, or restore a backup on another machine, which revokes it"


class FileExists(LocalFault):
    """That file exists already; nothing is overwritten."""

    code = "file_exists"
    exit = exits.REFUSED
    hint = "choose another name"


class FileUnusable(LocalFault):
    """The file cannot be read or written."""

    code = "file_unusable"
    hint = "check the path, its owner and its mode"


class BadPassphrase(LocalFault):
    """A passphrase has 8 to 1,024 characters, and must be typed the same twice."""

    code = "bad_passphrase"
    exit = exits.USAGE
    hint = "six random words make a good one"


class DeviceRevoked(LocalFault):
    """This installation of the agent was revoked or replaced; contacts accept nothing from it any more."""

    code = "device_revoked"
    exit = exits.HUMAN
    hint = "send from an installation that is live; p2p-agents devices list shows them"


class IdentityBehind(LocalFault):
    """A contact knows a newer identity log of this agent; rotating this one would freeze the agent at every contact."""

    code = "identity_behind"
    exit = exits.HUMAN
    hint = "rotate where the agent was last restored or rotated; if nobody did that, the contact lies: use --anyway"


class BackupPassphrase(LocalFault):
    """The passphrase does not open this backup."""

    code = "backup_passphrase"
    exit = exits.REFUSED
    hint = "type it again; nothing else opens the file"


class BackupOutdated(LocalFault):
    """The agent replaced its root key after this backup was made; contacts would freeze what it restores."""

    code = "backup_outdated"
    exit = exits.REFUSED
    hint = "use a backup that was made after the last rotation"


class BackupDamaged(LocalFault):
    """The file is damaged, or is not a backup."""

    code = "backup_damaged"
    hint = "use another copy of the file"


class BackupTruncated(LocalFault):
    """The backup is cut off."""

    code = "backup_truncated"
    hint = "copy the whole file again"


class BackupVersion(LocalFault):
    """This release cannot read a backup of that version."""

    code = "backup_version"
    hint = "install the release that wrote it, or a newer one"
