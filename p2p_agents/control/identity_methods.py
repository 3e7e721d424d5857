"""The methods of an agent's own identity: its log, its devices, what is kept elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from p2p_agents import errors
from p2p_agents.control.method import Method, Param, bad_param
from p2p_agents.control.params import AGENT, FINDS_AGENT, STORES

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH_CHARS = 4_096  # Linux's own bound

LOG_FIELDS = "agent: {id, name}, next_root, entries: [{n, kind, device, time}]"
DEVICE_FIELDS = "{id, name, state, here, n}"
_FILES = (errors.FileExists, errors.FileUnusable)
_KEYS = (errors.NextRootMissing, errors.NextRootWrong, errors.BadKeyFile, errors.FileUnusable)


def check_path(params: Mapping[str, Any]) -> None:
    """The node has a directory of its own: paths are absolute. Raises BadParams."""
    path = params["path"]
    if path is not None and (not os.path.isabs(path) or "\0" in path):
        raise bad_param("path", "must be an absolute path")


def _path(text: str, *, required: bool = True) -> Param:
    return Param("path", str, text, required=required, at_least=1, at_most=PATH_CHARS)


IDENTITY = (
    Method(
        "identity.show",
        "The agent's identity log. `next_root` is `here` or `exported`.",
        (AGENT,),
        f"{{{LOG_FIELDS}}}",
        (*FINDS_AGENT, errors.StoreBroken),
    ),
    Method(
        "identity.rotate",
        "Replace the root key by the one the log committed to; contacts follow by themselves.",
        (AGENT, _path("the file that the next root key was exported to, if it was", required=False)),
        f"{{{LOG_FIELDS}}}",
        (*FINDS_AGENT, *_KEYS, errors.IdentityFull, errors.StoreBroken, *STORES),
        body=check_path,
    ),
    Method(
        "identity.export",
        "Move the next root key into a new file, off this machine's own ones.",
        (AGENT, _path("the file to be made")),
        f"{{path, {LOG_FIELDS}}}",
        (*FINDS_AGENT, errors.NextRootMissing, *_FILES, errors.StoreBroken, *STORES),
        body=check_path,
    ),
    Method(
        "devices.list",
        "Every installation that ever was the agent's; `here` is this one.",
        (AGENT,),
        f"{{devices: [{DEVICE_FIELDS}]}}",
        FINDS_AGENT,
    ),
    Method(
        "devices.revoke",
        "End another installation of the agent, for good.",
        (AGENT, Param("device", str, "its name or the beginning of its id", required=True, at_least=1)),
        f"{{devices: [{DEVICE_FIELDS}]}}",
        (*FINDS_AGENT, errors.DeviceUnknown, errors.OwnDevice, errors.IdentityFull, errors.StoreBroken, *STORES),
    ),
)
