"""Fields that several structures share: codes, key bundles, identity logs, places, previews."""

from __future__ import annotations

from typing import Annotated, Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import BUNDLE_BYTES, IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES, NAME_CHARS, TEXT_PREVIEW_BYTES
from p2p_agents.wire.cbor import text
from p2p_agents.wire.kinds import Bytes, Custom, ListOf, Text

CODE = Text(64, name="code")
WORD = Text(NAME_CHARS, name="word")
PLACE = Text(32)  # the meeting place of a pairing code
IDENTITY_ENTRY = Bytes(at_most=IDENTITY_ENTRY_BYTES, name="identity-entry")

Code = Annotated[str, CODE]
Word = Annotated[str, WORD]
Place = Annotated[str, PLACE]
Bundle = Annotated[bytes, Bytes(at_most=BUNDLE_BYTES)]
IdentityLog = Annotated[tuple[bytes, ...], ListOf(IDENTITY_ENTRY, IDENTITY_ENTRIES, label="identity-entry")]


def _preview(value: Any) -> str:
    found = text(value, at_most=TEXT_PREVIEW_BYTES, what="text")
    if len(found.encode()) > TEXT_PREVIEW_BYTES:
        raise Malformed(f"the text has more than {TEXT_PREVIEW_BYTES} bytes")
    return found


Preview = Annotated[str, Custom(f"text .size (0..{TEXT_PREVIEW_BYTES})", _preview)]  # in bytes, so also in characters
