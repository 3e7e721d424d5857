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
    """That is not the next root key which the agent's identity log commits to."""

    code = "next_root_wrong"
    exit = exits.REFUSED
    hint = "use the file of the last export; each rotation makes another key the next one"


class RootElsewhere(LocalFault):
    """The root key of this agent is on another installation."""

    code = "root_elsewhere"
    exit = exits.REFUSED
    hint = "do it there: on the machine where the agent was made or restored"


class KeysBroken(LocalFault):
    """The key file of this agent is missing or damaged: the agent cannot act. Others of this node are not concerned."""

    code = "keys_broken"
    exit = exits.REFUSED
    hint = "put that file back from a copy of the home, or run: p2p-agents backup import FILE"


class AlreadyHere(LocalFault):
    """The agent that shows this code lives on this machine already."""

    code = "already_here"
    exit = exits.REFUSED
    hint = "type the code on the machine that is to be added"


class BadKeyFile(LocalFault):
    """The file holds no next root key."""

    code = "bad_key_file"
    exit = exits.USAGE
    hint = "give the file that identity export-next-root wrote, unchanged"


class IdentityFull(LocalFault):
    """The identity log is full: it holds 256 entries."""

    code = "identity_full"
    exit = exits.REFUSED
    hint = "make a new agent: p2p-agents init NAME"


class DeviceUnknown(LocalFault):
    """The agent has no live device of that key or name."""

    code = "device_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents devices list"


class OwnDevice(LocalFault):
    """An installation does not revoke itself: nobody would be left to speak for the agent here."""

    code = "own_device"
    exit = exits.REFUSED
    hint = "revoke it from another installation, or restore a backup on another machine, which revokes it"


class FileExists(LocalFault):
    """A file of that name exists already; nothing is overwritten."""

    code = "file_exists"
    exit = exits.REFUSED
    hint = "choose another name"


class FileUnusable(LocalFault):
    """The file cannot be read or written."""

    code = "file_unusable"
    hint = "check the path, its owner and its mode"


class BadPassphrase(LocalFault):
    """A passphrase has 8 to 1,024 characters, and is typed twice alike."""

    code = "bad_passphrase"
    exit = exits.USAGE
    hint = "six random words are a good one"


class DeviceRevoked(LocalFault):
    """This installation of the agent was revoked or replaced: contacts take nothing from it any more."""

    code = "device_revoked"
    exit = exits.HUMAN
    hint = "write from where the agent lives now; p2p-agents devices list shows its installations"


class IdentityBehind(LocalFault):
    """A contact knows a newer identity log of this agent: to rotate this one would freeze every contact for good."""

    code = "identity_behind"
    exit = exits.HUMAN
    hint = "act where the agent was restored or rotated; if nobody did, that contact lies: --anyway"


class BackupPassphrase(LocalFault):
    """The passphrase does not open this backup."""

    code = "backup_passphrase"
    exit = exits.REFUSED
    hint = "type it again; without it nobody can open the file"


class BackupOutdated(LocalFault):
    """The agent replaced its root key after this backup was made: contacts would freeze what it restores."""

    code = "backup_outdated"
    exit = exits.REFUSED
    hint = "use a backup that was made after the last rotation"


class BackupDamaged(LocalFault):
    """The backup is damaged, or no backup at all."""

    code = "backup_damaged"
    hint = "use another copy of the file"


class BackupTruncated(LocalFault):
    """The backup ends before its end."""

    code = "backup_truncated"
    hint = "copy the file again, whole"


class BackupVersion(LocalFault):
    """The backup is of a version that this release cannot read."""

    code = "backup_version"
    hint = "install the release that wrote it, or a newer one"
