"""The results of `p2p-bridge`, for people."""

from __future__ import annotations

import io
import shutil
import sys
from typing import TYPE_CHECKING, Any

import segno

from bridge.sizes import show_size
from p2p_agents import output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]

QR_BORDER = 2


def ready(event: Result) -> str:
    """The address, as text and as a picture, and what this bridge is."""
    kept = (
        f"It keeps sealed blobs until they are fetched, for {event['kept_days']} days at most, when they came and how\n"
        "large they are, and the hash of what may write to each queue. It sees the addresses of its\n"
        f"clients and logs {'them' if event['log_addresses'] else 'none of them'}. "
        "What is in a blob, from whom and to whom, it cannot read."
    )
    how = {
        "open": "Anybody may make queues here, within bounds: --admission token or list is for those you know.",
        "token": "Whoever holds a token may make queues: p2p-bridge token create.",
        "list": "Accounts on the list may make queues: p2p-bridge allow add.",
    }[event["admission"]]
    named = "" if "//localhost:" not in event["address"] else "Clients on other machines need --public-host NAME."
    drawn = picture(event["address"])
    return "\n".join(
        part
        for part in (output.style(event["address"], "bold"), drawn, kept, how, named, f"data: {event['data']}")
        if part
    )


def picture(text: str) -> str:
    """A QR code for a camera, or nothing if the terminal cannot show one."""
    code = segno.make_qr(text, error="l", boost_error=False)
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding != "utf8" or shutil.get_terminal_size().columns < code.symbol_size(border=QR_BORDER)[0]:
        return ""
    drawn = io.StringIO()
    code.terminal(drawn, compact=True, border=QR_BORDER)
    return drawn.getvalue().rstrip("\n")


def token(result: Result) -> str:
    return (
        f"{output.style(result['token'], 'bold')}\n"
        f"id {result['id']} · admits {result['accounts']} accounts{_until(result)} · it is not shown again"
    )


def _until(token: Result) -> str:
    return f" until {output.clock(token['until'])}" if token["until"] else ""


def tokens(result: Result) -> str:
    rows = [
        (one["id"], one["label"], f"{one['used']} of {one['accounts']}{_until(one)}", output.clock(one["created"]))
        for one in result["tokens"]
    ]
    return output.table(("ID", "LABEL", "USED", "CREATED"), rows) if rows else "no tokens"


def allowed(result: Result) -> str:
    rows = [(one["account"], one["label"], output.clock(one["added"])) for one in result["accounts"]]
    return output.table(("ACCOUNT", "LABEL", "ADDED"), rows) if rows else "nobody is on the list"


def stats(result: Result) -> str:
    oldest = f" · oldest {output.clock(result['oldest'])}" if result["oldest"] else ""
    head = (
        f"{result['blobs']} blobs of {show_size(result['bytes'])} in {result['queues']} queues"
        f" of {result['accounts']} accounts{oldest}"
    )
    rows = [
        (one["account"], str(one["queues"]), show_size(one["bytes"]), output.clock(one["seen"]))
        for one in result["largest"]
    ]
    parts = [head]
    if rows:
        parts.append(output.table(("ACCOUNT", "QUEUES", "BYTES", "SEEN"), rows))
    if result["networks"]:
        parts.append(_networks(result["networks"]))
    return "\n\n".join(parts)


def _networks(found: Sequence[Result]) -> str:
    rows = [(one["tag"], str(one["accounts"]), str(one["queues"]), show_size(one["bytes"])) for one in found]
    drawn = output.table(("NETWORK", "ACCOUNTS", "QUEUES", "BYTES"), rows)
    return f"{drawn}\nNetworks go by tags; whether an address is of one: p2p-bridge stats --network ADDRESS"


def network(result: Result) -> str:
    holds = f"{show_size(result['bytes'])} in {result['queues']} queues of {result['accounts']} accounts"
    return f"{result['network']}, tag {result['tag']}: {holds}"


def purged(result: Result) -> str:
    return f"forgotten, with {result['blobs']} blobs"


def backup(result: Result) -> str:
    return f"{result['file']}: {show_size(result['bytes'])}"


def checks(result: Result) -> str:
    return output.checks(result)
