"""`pair`, `pair --join`, `pair status`, `pair cancel`."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, exits, limits, output
from p2p_agents.cli import progress, typed
from p2p_agents.cli.face import STDERR, Face, run
from p2p_agents.cli.options import As, Json, Listed, Timeout, application, check_number, examples
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Your name for the other side.")]
Wait = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="S",
        min=0,
        max=limits.WAIT_MAX_S,
        callback=check_number,
        help="Seconds to wait for the other side. Default: as long as the code lives; 60 when you give a code.",
    ),
]
LinkDevice = Annotated[
    bool, typer.Option("--link-device", help="Add a machine to the same agent, instead of a contact.")
]
Which = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="A code's id or last five characters. Default: the newest.")
]


class CodeGroup(Listed):
    """`pair -` is `pair join -`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["join", *args])


app = application(cls=CodeGroup)


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "p2p-agents pair", "p2p-agents pair --join --name bob", "p2p-agents pair --link-device --history 7"
    ),
)
def pair(
    ctx: typer.Context,
    name: Name = None,
    join: Annotated[bool, typer.Option("--join", help="Type the code that the other side shows.")] = False,
    no_qr: Annotated[bool, typer.Option("--no-qr", help="Show words only, no QR code.")] = False,
    svg: Annotated[str | None, typer.Option("--svg", metavar="FILE", help="Save the QR code as SVG too.")] = None,
    png: Annotated[str | None, typer.Option("--png", metavar="FILE", help="Save the QR code as PNG too.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Show the code and return; it stays valid.")] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Show a web link too, which explains itself. Needs a bridge.")
    ] = False,
    image: Annotated[
        str | None,
        typer.Option(
            "--image", metavar="FILE", help="Read the other side's code from a photo, a screenshot or terminal text."
        ),
    ] = None,
    camera: Annotated[bool, typer.Option("--camera", help="Read the other side's code with a camera.")] = False,
    link_device: LinkDevice = False,
    history: Annotated[
        str | None,
        typer.Option(
            "--history",
            metavar="DAYS",
            help="How much of the conversations the added machine gets: all, none, or days. [30]",
        ),
    ] = None,
    timeout: Wait = None,
    as_: As = None,
    json: Json = None,
) -> int:
    """Become contacts by a code: show one, or type the one that the other side shows.

    Without options it shows a new code, as words and as a QR code, and waits until the other side has used it: ten
    minutes at most. The other side types it with --join, which asks for it, or passes it on standard input with
    `pair -`; or it reads the QR code with --image or --camera (extras `scan` and `camera`). A code works once, and
    three wrong tries end it. Do not give it as an argument: every user of the machine can read those.

    With --link-device, on both sides, it adds another machine to the same agent: contacts and conversations follow,
    the root key stays where it is.
    """
    reads = image is not None or camera or join
    saves = bool(no_qr or svg or png or no_wait or link)
    _check_ways((saves, bool(ctx.invoked_subcommand), image is not None, camera, join))
    if link_device or history is not None:
        _check_link(name, history, link=link_device, shows=not (ctx.invoked_subcommand or reads), web=link)
    if ctx.invoked_subcommand:
        return exits.OK

    def act(face: Face) -> int:
        if reads:
            seconds = limits.WAIT_DEFAULT_S if timeout is None else timeout
            code = typed.ask_code() if join else _look(image)
            return _join(face, code, name, seconds, link=link_device)
        saved = {path: kind for path, kind in ((svg, "svg"), (png, "png")) if path is not None}
        wanted = {"device": link_device} | ({} if history is None else {"history": history})
        return show_and_wait(
            face,
            name,
            picture=not no_qr,
            link=link,
            wait=not no_wait,
            saved=saved,
            timeout=timeout,
            wanted=wanted if link_device else {},
        )

    return run(act, as_, json)


def _check_ways(ways: tuple[bool, ...]) -> None:
    if sum(ways) > 1:
        raise typer.BadParameter("one of: show a code and save it, --join, --image FILE, --camera.")


def _check_link(name: str | None, history: str | None, *, link: bool, shows: bool, web: bool) -> None:
    if history is not None and not (link and shows):
        raise typer.BadParameter("--history is for pair --link-device, on the side that shows the code.")
    if name is not None and shows:
        raise typer.BadParameter("--name is for the other side, where the agent is added.")
    if web:
        raise typer.BadParameter("--link is for contacts; the code itself works over a bridge too.")


def show_and_wait(
    face: Face,
    name: str | None,
    *,
    picture: bool,
    link: bool,
    wait: bool,
    saved: Mapping[str, str] = MappingProxyType({}),
    timeout: float | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
    wanted: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Show a new code, in every way asked for, and wait until somebody has used it. `more` is shown beside it,
    `wanted` are parameters of the code."""
    shown = {**more, **face.act("pair.start", petname=name, **wanted)}
    try:
        with _ended_by_signals():
            _complete(face, shown, link=link)
            for path, kind in saved.items():
                _save(shown["uri"], path, kind)
            if not face.json or sys.stderr.isatty():
                _show(shown, picture=picture, link=link)
            if face.json:
                face.show(shown, output.fields)
            return _wait(face, shown["id"], timeout) if wait else exits.OK
    except KeyboardInterrupt:
        face.close()  # the connection may still wait for an answer
        ended = face.act("pair.cancel", code=shown["id"])
        with suppress(OSError):  # the terminal may be gone
            tell("The code is taken back." if ended["state"] == "cancelled" else output.code_state(ended))
        return exits.INTERRUPTED
    except OSError:  # nobody reads what is shown
        face.close()
        face.act("pair.cancel", code=shown["id"])
        raise


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A terminal that closes, and whoever ends this process, stop it as Ctrl-C does; not where they are ignored."""
    heard = [number for number in (signal.SIGHUP, signal.SIGTERM) if signal.getsignal(number) is signal.SIG_DFL]
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _complete(face: Face, shown: dict[str, Any], *, link: bool) -> None:
    """The link lets its holder in, and a code that this one replaced is told of. Raises BridgeUnknown, BridgeFailed."""
    if link and shown["link"] is None:
        face.act("pair.cancel", code=shown["id"])
        raise errors.BridgeUnknown("a link leads to a bridge, and this node uses none", hint="run: p2p-agents host")
    if link:
        shown["link"] = _admitting(face, shown)
    if shown["withdrew"] is not None:
        tell(f"The code before, which ended with {shown['withdrew']}, is taken back: an agent shows one at a time.")


def _admitting(face: Face, shown: Mapping[str, Any]) -> str:
    """A link over this machine's own bridge lets its holder in there. Raises BridgeFailed: the code is taken back."""
    from p2p_agents.cli.own_bridge import OwnBridge

    link = str(shown["link"])
    over = typed.bridge_in(link)
    try:
        return OwnBridge(Home()).admitting(link, over[0]) if over is not None else link
    except errors.BridgeFailed:
        face.act("pair.cancel", code=shown["id"])
        raise


def _look(image: str | None) -> str:
    """The code in a file, or in front of the camera. Raises an error of errors/scan.py."""
    try:
        from p2p_agents.cli import scan
    except ImportError as error:
        missing = errors.CameraUnavailable if image is None else errors.ScanUnavailable
        raise missing from error
    if image is not None:
        return scan.read(image)
    from p2p_agents.cli import camera

    return camera.read(
        lambda: tell(f"Hold the code before the camera, for {limits.CAMERA_S:g} s at most; Ctrl-C ends.")
    )


def _join(face: Face, code: str, name: str | None, timeout: float, *, link: bool) -> int:
    wanted = {"code": code, "name" if link else "petname": name, "timeout": timeout}
    over = typed.bridge_in(code)
    with _ended_by_signals(), _over_bridge(face, over), progress.shown("looking for who shows that code"):
        found = face.call("pair.link", **wanted) if link else face.act("pair.join", **wanted)
    face.show(found, output.linked if link else output.paired)
    return exits.OK


@contextmanager
def _over_bridge(face: Face, over: tuple[str, str | None] | None) -> Iterator[None]:
    """Use the bridge that a link names, by the token in it, and for good once it brought somebody."""
    if over is None:
        yield
        return
    address, token = over
    known = next((one for one in face.call("bridge.list")["bridges"] if one["address"] == address), None)
    if known is not None and (token is None or known["state"] in ("up", "down")):
        yield
        return
    place = output.escape(address.removeprefix("bridge://").partition("#")[0])
    try:
        face.call("bridge.add", address=address, token=token)
        tell(f"This machine uses the bridge of the link now. To end that: p2p-agents bridge remove {place}")
    except (errors.BridgeUnreachable, errors.BridgeRefused, errors.BridgeImpostor) as error:  # perhaps it is nearby
        tell(f"The bridge of the link is of no use: {output.escape(error.message)}\n  {output.escape(error.hint)}")
    try:
        yield
    except (errors.P2PError, KeyboardInterrupt):
        face.close()  # after Ctrl-C the connection still waits for an answer
        if known is None:
            with suppress(errors.BridgeUnknown):
                face.call("bridge.remove", address=address)
        raise


def _wait(face: Face, code: str, timeout: float | None) -> int:
    """Wait until somebody has used it, reporting each wrong try as it is made."""
    deadline = time.monotonic() + (limits.PAIRING_CODE_MS / 1000 if timeout is None else timeout)
    seen, state = 0, "waiting"
    while state != "paired":
        left = max(0.0, deadline - time.monotonic())
        answer = face.act("pair.wait", code=code, timeout=left, seen=seen)
        for item in answer["wrong"][seen:]:
            tell(output.wrong_try(item))
        seen, state = len(answer["wrong"]), answer["state"]
    if face.json:
        tell(output.paired(answer))
    face.show(answer, output.paired)
    return exits.OK


def tell(line: str) -> None:
    """Tell people something at once, on stderr. An indented line is a command to copy."""
    lines = (part if part.startswith(" ") else output.fold(part, "  ", STDERR) for part in line.split("\n"))
    _put("\n".join(lines))


def _put(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _show(shown: Mapping[str, Any], *, picture: bool, link: bool) -> None:
    """For people, on stderr: the picture, the words, and what the other side has to do."""
    from p2p_agents.cli import picture as pictures

    lines = []
    until = output.clock(shown["expires"])
    lines.append(f"{shown['code']}   for {output.escape(shown['agent']['name'])}, until {until}, once")
    verb = "pair --link-device --join" if shown["purpose"] == "link" else "pair --join"
    lines.append(f"On the other side, type it when asked: p2p-agents {verb}")
    below = ""
    if link:
        lines.append("On another network, type this link instead; give it to nobody else:")
        below = shown["link"]
    if picture:
        _put(pictures.beside(shown["uri"], lines, below, colour=not os.environ.get("NO_COLOR")))
    else:
        tell("\n".join([*lines, *filter(None, [below])]))


def _save(uri: str, path: str, kind: str) -> None:
    from p2p_agents.cli import picture as pictures

    pictures.save(uri, path, kind)


@app.command(
    epilog=examples(
        "p2p-agents pair --join",
        "xclip -o | p2p-agents pair - --name bob",
        "p2p-agents pair join --link-device --timeout 120",
    )
)
def join(
    ctx: typer.Context,
    code: Annotated[
        list[str] | None, typer.Argument(metavar="[-]", help="Read the code from standard input. Default: ask for it.")
    ] = None,
    name: Name = None,
    link_device: LinkDevice = False,
    timeout: Timeout = limits.WAIT_DEFAULT_S,
    as_: As = None,
    json: Json = None,
) -> int:
    """Pair with whoever shows the code that you type: `pair --join`, or `pair -` for programs.

    Any case, with dashes or spaces; a link or scanned text works too. A mistyped word is noticed here and costs no
    try. A code given as an argument works too, with a warning; with --link-device it is refused.
    """
    before = ctx.parent.params if ctx.parent else {}
    called = name or before.get("name")
    if timeout == limits.WAIT_DEFAULT_S and before.get("timeout") is not None:
        timeout = before["timeout"]
    as_, json = as_ or before.get("as_"), before.get("json") if json is None else json
    link = link_device or bool(before.get("link_device"))

    def act(face: Face) -> int:
        return _join(face, typed.take_code(code or [], gives_agent=link), called, timeout, link=link)

    return run(act, as_, json)


@app.command(epilog=examples("p2p-agents pair status", "p2p-agents pair status 7q2mx", "p2p-agents pair status --json"))
def status(code: Which = None, as_: As = None, json: Json = None) -> int:
    """Show the state of a code: waiting, paired, dead, expired or cancelled."""
    return run(lambda face: face.show(face.act("pair.status", code=_named(code)), output.code_state), as_, json)


@app.command(epilog=examples("p2p-agents pair cancel", "p2p-agents pair cancel 7q2mx", "p2p-agents pair cancel --json"))
def cancel(code: Which = None, as_: As = None, json: Json = None) -> int:
    """Take a code back."""
    return run(lambda face: face.show(face.act("pair.cancel", code=_named(code)), output.code_state), as_, json)


def _named(word: str | None) -> str | None:
    """Ids and last characters are public; anything longer is the code itself, so warn."""
    if word is not None and not word.isalnum():
        typed.warn_seen()
    return word
