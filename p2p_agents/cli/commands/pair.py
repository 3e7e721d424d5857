"""`pair`, `pair CODE`, `pair status`, `pair cancel`."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from p2p_agents import errors, exits, limits, output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import As, Json, Timeout, application, check_number, examples

Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Your name for whoever is met.")]
Wait = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="S",
        min=0,
        max=limits.WAIT_MAX_S,
        callback=check_number,
        help="Seconds to wait for the other side; else 60 with a picture, and as long as the code lives without.",
    ),
]
Which = Annotated[str | None, typer.Argument(metavar="[CODE]", help="A code or its id; without it the newest.")]


class CodeGroup(TyperGroup):
    """`pair CODE` is `pair join CODE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["join", *args])


app = application(cls=CodeGroup)


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents pair", "p2p-agents pair coral-fiddle-7q2mx", "p2p-agents pair --image photo.jpg"),
)
def pair(
    ctx: typer.Context,
    name: Name = None,
    no_qr: Annotated[bool, typer.Option("--no-qr", help="Words only, no picture.")] = False,
    svg: Annotated[str | None, typer.Option("--svg", metavar="FILE", help="Save the picture as SVG too.")] = None,
    png: Annotated[str | None, typer.Option("--png", metavar="FILE", help="Save the picture as PNG too.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Show the code and end; it lives on.")] = False,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="FILE", help="Read the other side's code: photo, screenshot, terminal text."),
    ] = None,
    camera: Annotated[bool, typer.Option("--camera", help="Read the other side's code with a camera.")] = False,
    timeout: Wait = None,
    as_: As = None,
    json: Json = False,
) -> int:
    """Become contacts over a code: show one, or type the other side's.

    Without a code it shows a new one, as words and as a picture, and waits until the other side held it: ten
    minutes at most. `pair CODE` is the other side, and so are --image and --camera, which read the picture
    (extras `scan` and `camera`). A code serves once; three wrong tries and it is dead.
    """
    ways = (bool(no_qr or svg or png or no_wait), bool(ctx.invoked_subcommand), image is not None, camera)
    if sum(ways) > 1:
        raise typer.BadParameter("one of: show a code and save it, type one, --image FILE, --camera.")
    if ctx.invoked_subcommand:
        return exits.OK

    def act(face: Face) -> int:
        if image is not None or camera:
            return _join(face, _look(image), name, limits.WAIT_DEFAULT_S if timeout is None else timeout)
        shown = face.act("pair.start", name=name)
        for path, kind in ((svg, "svg"), (png, "png")):
            if path is not None:
                _save(shown["uri"], path, kind)
        if not face.json or sys.stderr.isatty():
            _show(shown, picture=not no_qr)
        if face.json:
            face.show(shown, output.fields)
        return exits.OK if no_wait else _wait(face, shown["id"], timeout)

    return run(act, as_, json)


def _look(image: str | None) -> str:
    """The code in a file, or before the camera. Raises an error of scan_faults.py."""
    try:
        from p2p_agents.cli import scan
    except ImportError as error:
        missing = errors.CameraUnavailable if image is None else errors.ScanUnavailable
        raise missing from error
    if image is not None:
        return scan.read(image)
    from p2p_agents.cli import camera

    return camera.read(
        lambda: _tell(f"Hold the code before the camera, for {limits.CAMERA_S:g} s at most; Ctrl-C ends.")
    )


def _join(face: Face, code: str, name: str | None, timeout: float) -> int:
    face.show(face.act("pair.join", code=code, name=name, timeout=timeout), output.paired)
    return exits.OK


def _wait(face: Face, code: str, timeout: float | None) -> int:
    """Until somebody held it, telling of each wrong try as it is made; who leaves takes it back."""
    deadline = time.monotonic() + (limits.PAIRING_CODE_MS / 1000 if timeout is None else timeout)
    seen = 0
    try:
        while True:
            left = max(0.0, deadline - time.monotonic())
            answer = face.act("pair.wait", code=code, timeout=left, seen=seen)
            for item in answer["wrong"][seen:]:
                _tell(output.wrong_try(item))
            seen = len(answer["wrong"])
            if answer["state"] == "paired":
                break
        if face.json:
            _tell(output.paired(answer))
        face.show(answer, output.paired)
    except KeyboardInterrupt:
        face.close()  # the connection still waits for that answer
        face.act("pair.cancel", code=code)
        return exits.INTERRUPTED
    return exits.OK


def _tell(line: str) -> None:
    """What a human is to know at once, whatever stdout is for."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _show(shown: dict[str, Any], *, picture: bool) -> None:
    """For people, on stderr: the picture, the words, and what the other side does with them."""
    from p2p_agents.cli import picture as pictures

    lines = []
    if picture and pictures.fits(shown["uri"]):
        lines.append(pictures.draw(shown["uri"], colour=not os.environ.get("NO_COLOR")))
    until = output.clock(shown["expires"])
    lines.append(f"{shown['code']}   for {output.escape(shown['agent'])}, until {until}, once")
    lines.append(f"On the other side: p2p-agents pair {shown['code']}")
    _tell("\n".join(lines))


def _save(uri: str, path: str, kind: str) -> None:
    from p2p_agents.cli import picture as pictures

    pictures.save(uri, path, kind)


@app.command(
    epilog=examples(
        "p2p-agents pair coral-fiddle-7q2mx",
        "p2p-agents pair coral fiddle 7q2mx --name bob",
        "p2p-agents pair join P2PA:P/AGAQ... --timeout 120",
    )
)
def join(
    ctx: typer.Context,
    code: Annotated[list[str], typer.Argument(metavar="CODE", help="What the other side shows, or scanned text.")],
    name: Name = None,
    timeout: Timeout = limits.WAIT_DEFAULT_S,
    as_: As = None,
    json: Json = False,
) -> int:
    """Pair with whoever shows this code; `join` may be left out.

    Any case, dashes or spaces. A mistyped word is noticed here and costs no try.
    """
    before = ctx.parent.params if ctx.parent else {}
    called, text = name or before.get("name"), " ".join(code)
    if timeout == limits.WAIT_DEFAULT_S and before.get("timeout") is not None:
        timeout = before["timeout"]
    as_, json = as_ or before.get("as_"), json or bool(before.get("json"))
    return run(lambda face: _join(face, text, called, timeout), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents pair status", "p2p-agents pair status coral-fiddle-7q2mx", "p2p-agents pair status --json"
    )
)
def status(code: Which = None, as_: As = None, json: Json = False) -> int:
    """Show how a code stands: waiting, paired, dead, expired or cancelled."""
    return run(lambda face: face.show(face.act("pair.status", code=code), output.code_state), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents pair cancel", "p2p-agents pair cancel coral-fiddle-7q2mx", "p2p-agents pair cancel --json"
    )
)
def cancel(code: Which = None, as_: As = None, json: Json = False) -> int:
    """Take a code back."""
    return run(lambda face: face.show(face.act("pair.cancel", code=code), output.code_state), as_, json)
