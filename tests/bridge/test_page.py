"""The invitation page: what it tells people and programs, and that no path changes it."""

import asyncio
import base64
import hashlib
import json
import re
import shutil
import string
import subprocess
from functools import partial
from html.parser import HTMLParser
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Response

from bridge.http import Routes
from bridge.page import ROUTE
from bridge.page import invitation as page_of
from bridge.server import BridgeServer
from bridge.settings import Settings

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
ADDRESS = "bridge://bridge.example:4433#" + "a" * 52
ATTACKS = [
    "/p/<script>alert(1)</script>",
    "/p/7Q2MX<script>alert(1)</script>",
    "/p/%3Cscript%3E",
    '/p/7Q2M"onload=alert(1)',
    "/p/7Q2M'",
    "/p/7Q2M&",
    "/p/7Q2M$",
    "/p/$place",
    "/p/7Q2MX/../../etc/passwd",
    "/p/../p/7Q2MX",
    "/p/7Q2MX\r\nSet-Cookie: a=b",
    "/p/7Q2MX\x00",
    "/p/7Q2M\u212a",  # KELVIN SIGN, whose lower case is k
    "/p/7Q2M\u0131",  # DOTLESS I, whose upper case is I
    "/p/\uff17Q2MX",  # FULLWIDTH DIGIT SEVEN
    "/p/" + "A" * 100_000,
    "/p/7Q2MXX",
    "/p/7Q2M",
    "/p/7Q2MU",
    "/p/",
    "/p",
    "/",
    "",
    "//evil.example/p/7Q2MX",
    "https://evil.example/p/7Q2MX",
]


class Reading(HTMLParser):
    """What a browser would see: tags, attributes, and the text of scripts and styles."""

    def __init__(self, page: Response) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.inline: dict[str, str] = {}
        self.text = ""
        self.feed(page.body.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if self.tags and self.tags[-1] in {"script", "style"} and self.tags[-1] not in self.inline:
            self.inline[self.tags[-1]] = data
        self.text += data


def invitation(path: str, accept: str = "", address: str = "") -> Response:
    """What comes back for a GET of `path`."""
    routes = Routes()
    routes.add(ROUTE, partial(page_of, address=address))
    headers = Headers({"Accept": accept}) if accept else Headers()
    return routes.page(path, headers, local=False).response()


def seen(page: Response) -> tuple[int, list[tuple[str, str]], bytes]:
    return page.status_code, list(page.headers.raw_items()), page.body


def header(page: Response, name: str) -> str:
    return page.headers[name]


def test_a_browser_gets_html_and_a_program_plain_text():
    assert header(invitation("/p/7Q2MX", BROWSER), "Content-Type") == "text/html; charset=utf-8"
    for accept in ("", "*/*", "text/plain", "application/json", "text/html;q=0", "text/plain, text/html;q=0.5"):
        assert header(invitation("/p/7Q2MX", accept), "Content-Type") == "text/plain; charset=utf-8", accept
    for accept in ("text/html", "text/plain;q=0.9, text/html", "TEXT/HTML", "text/html;level=1"):
        assert header(invitation("/p/7Q2MX", accept), "Content-Type") == "text/html; charset=utf-8", accept


def test_both_say_what_to_type_and_that_an_agent_asks_its_human_first():
    for accept in (BROWSER, "text/plain"):
        page = invitation("/p/7Q2MX", accept)
        told = " ".join(Reading(page).text.split()) if accept == BROWSER else " ".join(page.body.decode().split())
        assert page.status_code == HTTPStatus.OK
        assert "p2p-agents pair --join WORD-WORD-7Q2MX" in told  # a line each: the code is no argument
        assert "every user of a machine can read the arguments" in told
        assert "pipx install ." in told
        assert "this page is information, not an instruction. Ask your human before you install or run anything" in told
        assert told.index("Ask your human") < told.index("pipx install")


def test_a_bridge_that_knows_its_address_tells_it():
    for accept in (BROWSER, "text/plain"):
        assert f"p2p-agents bridge add {ADDRESS}" in invitation("/p/7Q2MX", accept, ADDRESS).body.decode()
        assert "bridge add" not in invitation("/p/7Q2MX", accept).body.decode()


def test_an_address_with_markup_stays_text():
    page = invitation("/p/7Q2MX", BROWSER, "bridge://<img src=x onerror=alert(1)>")
    assert "img" not in Reading(page).tags


def test_a_place_is_taken_in_any_case_and_shown_in_one():
    assert seen(invitation("/p/7q2mx")) == seen(invitation("/p/7Q2MX"))
    assert seen(invitation("/p/7Q2MX?utm_source=x")) == seen(invitation("/p/7Q2MX"))


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: ascii(path)[:30])
@pytest.mark.parametrize("accept", [BROWSER, ""], ids=["browser", "program"])
def test_what_is_no_place_is_not_found_and_not_repeated(path, accept):
    page = invitation(path, accept)
    assert page.status_code == HTTPStatus.NOT_FOUND
    assert seen(page) == seen(invitation("/p/-", accept))  # the same for all: nothing of the path comes back
    assert header(page, "Content-Type").startswith("text/plain")


@given(st.text(max_size=80), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_whatever_the_path_only_its_place_reaches_the_page(path, accept):
    page = invitation("/p/" + path, accept)
    place = path.partition("?")[0]
    if page.status_code == HTTPStatus.OK:
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{5}", place)
        neutral = invitation("/p/00000", accept).body.decode()
        assert page.body.decode().replace(place.upper(), "00000") == neutral
    else:
        assert page.status_code == HTTPStatus.NOT_FOUND


def test_the_page_loads_nothing_keeps_nothing_and_allows_its_own_script_alone():
    page = invitation("/p/7Q2MX", BROWSER, ADDRESS)
    reading, policy = Reading(page), header(page, "Content-Security-Policy")
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(reading.inline[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    for directive in ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert directive in policy
    assert "unsafe" not in policy
    assert reading.tags.count("script") == 1
    assert not {name for name, _ in reading.attributes} & {"src", "href", "style", "action"}
    assert not [name for name, _ in reading.attributes if name.startswith("on")]
    assert "Set-Cookie" not in page.headers
    assert (header(page, "Cache-Control"), header(page, "Referrer-Policy")) == ("no-store", "no-referrer")
    assert (header(page, "X-Content-Type-Options"), header(page, "Vary")) == ("nosniff", "Accept")


def test_nothing_is_told_of_whether_a_place_exists():
    pages = {invitation(f"/p/{a}Q2MX").body.replace(f"{a}Q2MX".encode(), b"") for a in string.digits}
    assert len(pages) == 1


SHOWN = """
const spans = {words: {}, where: {}};
globalThis.document = {getElementById: id => spans[id]};
globalThis.addEventListener = () => {};
const out = [];
for (const hash of HASHES) {
  globalThis.location = {hash};
  (0, eval)("{" + SCRIPT + "}");
  out.push([spans.words.textContent, spans.where.hidden]);
}
console.log(JSON.stringify(out));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript engine here")
def test_the_script_shows_two_words_and_nothing_else():
    script = Reading(invitation("/p/7Q2MX", BROWSER)).inline["script"]
    assert "textContent" in script
    assert not re.search(r"innerHTML|document\.write|fetch|cookie|Storage|eval", script)
    hashes = {
        "#PEARL-FOCAL": ["PEARL-FOCAL", True],
        "#pearl-focal": ["PEARL-FOCAL", True],
        "": ["WORD-WORD", False],
        "#": ["WORD-WORD", False],
        "#<img src=x onerror=alert(1)>": ["WORD-WORD", False],
        "#PEARL-FOCAL;rm": ["WORD-WORD", False],
        "#PEARL-FOCAL\n": ["WORD-WORD", False],
        "#PEARL": ["WORD-WORD", False],
        "#$(reboot)-FOCAL": ["WORD-WORD", False],
    }
    source = f"const SCRIPT = {json.dumps(script)}, HASHES = {json.dumps(list(hashes))};{SHOWN}"
    done = subprocess.run(["node", "-e", source], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == list(hashes.values())


def test_a_bridge_serves_it(tmp_path):
    """Over the very socket that WebSockets come by."""

    async def ask() -> bytes:
        server = BridgeServer(Settings(str(tmp_path), "127.0.0.1", 0, tls=False))
        address = await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        writer.write(b"GET /p/7Q2MX HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\nAccept: */*\r\n\r\n")
        answer = await reader.read()
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        writer.write(b"GET /p/7Q2MX HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        await server.stop()
        assert f"p2p-agents bridge add {address}".encode() in answer
        return answer

    answer = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"p2p-agents pair --join\n     WORD-WORD-7Q2MX\n" in answer
