"""The methods of an agent's own identity: its log, its devices, its backups."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from p2p_agents import errors, limits
from p2p_agents.control.method import Method, Param, Served, bad_param
from p2p_agents.control.params import AGENT, FINDS_AGENT, STORES
from p2p_agents.results import identity

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH_CHARS = 4_096  # Linux's own limit

_FILES = (errors.FileExists, errors.FileUnusable)
_PASSPHRASE = Param("passphrase", str, "8 to 1,024 characters", required=True, at_most=limits.PASSPHRASE_CHARS)
_KEYS = (errors.NextRootMissing, errors.NextRootWrong, errors.BadKeyFile, errors.FileUnusable)


def check_paths(params: Mapping[str, Any]) -> None:
    """The node has a directory of its own: paths are absolute. Raises BadParams."""
    for name in ("path", "next_root"):
        path = params.get(name)
        if path is not None and (not os.path.isabs(path) or "\0" in path):
            raise bad_param(name, "must be an absolute path")


def _path(text: str, *, required: bool = True) -> Param:
    return Param("path", str, text, required=required, at_least=1, at_most=PATH_CHARS)


IDENTITY = (
    Method(
        "identity.show",
        "The agent's identity log. `next_root` is `here`, `exported`, or `elsewhere`, with the root key.",
        (AGENT,),
        identity.IdentityLog,
        FINDS_AGENT,
        reads=True,
    ),
    Method(
        "identity.rotate",
        "Replace the root key by the one the log committed to; contacts follow by themselves.",
        (
            AGENT,
            _path("the file that the next root key was exported to, if it was", required=False),
            Param("anyway", bool, "although a contact knows a newer log of this agent", default=False),
        ),
        identity.IdentityLog,
        (*FINDS_AGENT, *_KEYS, errors.IdentityFull, errors.DeviceRevoked, errors.IdentityBehind, *STORES),
        served=Served.CALLS,
        repeats=False,
        body=check_paths,
    ),
    Method(
        "identity.export",
        "Move the next root key into a new file, off this machine's own ones.",
        (AGENT, _path("the file to be made")),
        identity.Exported,
        (*FINDS_AGENT, errors.NextRootMissing, *_FILES, *STORES),
        served=Served.CALLS,
        repeats=False,
        body=check_paths,
    ),
    Method(
        "devices.list",
        "Every installation that ever was the agent's; `here` is this one, `root` says whether its root key is here.",
        (AGENT,),
        identity.Devices,
        FINDS_AGENT,
        reads=True,
    ),
    Method(
        "devices.revoke",
        "End another installation of the agent, for good.",
        (AGENT, Param("device", str, "its name or the beginning of its id", required=True, at_least=1)),
        identity.Devices,
        (
            *FINDS_AGENT,
            errors.DeviceUnknown,
            errors.OwnDevice,
            errors.RootElsewhere,
            errors.IdentityFull,
            *STORES,
        ),
    ),
    Method(
        "backup.export",
        "Write the agent into a new file under a passphrase: keys, contacts with their pins, the log. Read it again.",
        (AGENT, _path("the file to be made"), _PASSPHRASE),
        identity.Saved,
        (*FINDS_AGENT, errors.RootElsewhere, errors.BadPassphrase, *_FILES, *STORES),
        served=Served.CALLS,
        repeats=False,
        works_s=limits.BACKUP_S,
        body=check_paths,
    ),
    Method(
        "backup.import",
        "Take an agent in from a backup, as a new device: its root key is replaced, its former devices are revoked.",
        (
            _path("the backup"),
            _PASSPHRASE,
            Param("name", str, "its name here, where another agent has that one", at_most=limits.NAME_CHARS),
            Param("next_root", str, "the file of the next root key, where it was exported", at_most=PATH_CHARS),
        ),
        identity.Restored,
        (
            *_KEYS,
            errors.BackupPassphrase,
            errors.BackupDamaged,
            errors.BackupTruncated,
            errors.BackupVersion,
            errors.BackupOutdated,
            errors.AgentExists,
            errors.BadName,
            errors.IdentityFull,
            *STORES,
        ),
        served=Served.CALLS,
        repeats=False,
        works_s=limits.BACKUP_S,
        body=check_paths,
    ),
)
