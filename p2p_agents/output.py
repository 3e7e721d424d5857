"""Output for people. Text from peers is escaped: it must not move the cursor, hide itself or pose as ours.

Standard library only, and little of it: a hot command imports this.
"""

from __future__ import annotations

from p2p_agents.terminal import block as block
from p2p_agents.terminal import escape as escape
from p2p_agents.terminal import fold as fold
from p2p_agents.terminal import on_terminal as on_terminal
from p2p_agents.terminal import style as style
from p2p_agents.terminal import table as table
from p2p_agents.terminal import width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def clock(stamp: str | None) -> str:
    """An RFC 3339 time as local `HH:MM` today, else with its date; anything else is shown as it is."""
    if not stamp:
        return "-"
    from datetime import datetime

    try:
        then = datetime.fromisoformat(stamp).astimezone()
    except (ValueError, OverflowError):  # the last day of the calendar is over already where the sun rises early
        return escape(stamp)
    today = datetime.now().astimezone().date() == then.date()
    return then.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")


def short(identity: str) -> str:
    """The beginning of an id, for people to compare at a glance."""
    return escape(identity[:10])


def called(party: Mapping[str, Any]) -> str:
    """A name, with the id beside it if the name alone does not say who it is; unescaped."""
    name = party.get("petname") or party["name"].partition("~")[0] or "(no name)"
    if not party.get("pinned", True) or party.get("like"):
        name += f" {party['id'][:10]}"
    return name + _likeness(party)


def _likeness(party: Mapping[str, Any]) -> str:
    return f" (looks like {party['like']})" if party.get("like") else ""


def who(party: Mapping[str, Any]) -> str:
    return style(escape(called(party)), "bold")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The start of a hint: up to three names that are like the word, or nothing."""
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    near = [lower[found] for found in get_close_matches(word.lower(), lower, n=3, cutoff=0.6)]
    return f"did you mean {' or '.join(near)}? " if near else ""


# --- results, by what they hold ---------------------------------------------------------------------------


def messages(result: Mapping[str, Any], onwards: str = "--after") -> str:
    """`onwards` is the option that takes the cursor of a page that is not the last."""
    shown = _warnings(result)
    shown += [message(item) for item in result["messages"]] or ["no messages"]
    if result.get("more"):
        shown.append(style(f"more: {onwards} {escape(result['cursor'])}", "dim"))
    if count := result.get("requests"):
        shown.append(style(f"{count} request{'s' * (count > 1)}: p2p-agents requests list", "yellow"))
    return "\n".join(shown)


def message(item: Mapping[str, Any]) -> str:
    """A line about the message, then its text."""
    sender = who(item["from"])
    receiver = f" to {escape(called(item['to']))}" if item.get("to") else ""
    notes = [clock(item["time"]), short(item["id"]), escape(item["trust"] or ""), escape(item["state"] or "")]
    about = style(" · ".join(note for note in notes if note), "dim")
    missing = "damaged on this disk: not shown" if item.get("damaged") else escape(item["type"])
    text = block(item["text"]) if item["text"] is not None else f"  ({missing})"
    return f"{sender}{receiver}  {about}\n{text}"


def awaited(result: Mapping[str, Any]) -> str:
    """The end of a wait: messages, or somebody who asks to be accepted."""
    asking = result.get("asking")
    if not asking:
        return messages(result)
    return requests({"requests": asking}) + style("\nto answer: p2p-agents requests accept NAME, or reject", "yellow")


def sent(result: Mapping[str, Any]) -> str:
    """With a short id, which `show` accepts, on a terminal; with the whole id elsewhere."""
    again = " (sent before)" if result.get("duplicate") else ""
    plain = f"{escape(result['state'])} to {escape(called(result['to']))}"
    told = _asked(result) if result["state"] == "asked" else plain
    shown = short(result["id"]) if on_terminal() else escape(result["id"])
    return f"{told}{again}  {style(shown, 'dim')}"


def _asked(result: Mapping[str, Any]) -> str:
    """A message to somebody who has to accept first."""
    name, why = escape(called(result["to"])), result.get("why")
    if why and why not in ("awaits acceptance", "peer does not answer"):
        return f"asks {name} as soon as that is possible ({escape(why)}); it is delivered once {name} accepts"
    return f"asked {name}; waiting for {name} to accept"


def acked(result: Mapping[str, Any]) -> str:
    return f"{result['acked']} acknowledged"


def peers(result: Mapping[str, Any], none: str = "no peers yet; they appear by themselves on one network") -> str:
    """A table, and below it why some are not reached directly."""
    listed = result.get("peers", result.get("agents", ()))
    if not listed:
        return none
    longer: dict[str, list[str]] = {}
    for peer in listed:
        if peer.get("why"):
            longer.setdefault(peer["why"], []).append(called(peer))
    notes = [
        style(fold(escape(f"not direct: {', '.join(names)}: {why}"), "  "), "dim") for why, names in longer.items()
    ]
    return "\n".join([table(PEER_HEAD, map(peer_cells, listed)), *notes])


PEER_HEAD = ("NAME", "ID", "KIND", "TRUST", "REACHABLE", "SEEN", "STATUS")
PEER_WIDTHS = (16, 10, 11, 9, 9, 6)  # of a list that grows: later names are not known yet


def peer_cells(peer: Mapping[str, Any]) -> tuple[str, ...]:
    name = f"{peer['petname']} ({peer['name']})" if peer.get("petname") else (peer["name"] or "(no name)")
    name += _likeness(peer)
    reach = (peer.get("path") or "yes") if peer["reachable"] else "no"
    seen = clock(peer.get("last_seen"))
    return name, peer["id"][:10], peer["kind"], _standing(peer), reach, seen, peer.get("status") or ""


def _standing(peer: Mapping[str, Any]) -> str:
    """How far a peer is trusted; `asked` if it has yet to accept us."""
    asked = peer.get("accepts") is False and peer["trust"] not in ("blocked", "unknown", "requested")
    return "asked" if asked else str(peer["trust"])


def peer_line(peer: Mapping[str, Any] | None) -> str:
    """A line of a list that grows, or its head: columns as wide as most need; SEEN, which is now, is left out."""
    cells = PEER_HEAD if peer is None else peer_cells(peer)
    shown = [escape(cell) for cell in (*cells[:5], *cells[6:])]
    return "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(shown, PEER_WIDTHS, strict=True)).rstrip()


def agents(result: Mapping[str, Any]) -> str:
    rows = [_agent_cells(agent) for agent in result["agents"]]
    return table(("NAME", "ID", "KIND", "POLICY", "STATUS"), rows) if rows else "no agents; run: p2p-agents init NAME"


def agent(result: Mapping[str, Any]) -> str:
    """One agent in a line that needs no head."""
    item = result["agent"]
    marks = [mark for key, mark in (("default", "the default"), ("hidden", "hidden")) if item.get(key)]
    facts = [short(item["id"]), item["kind"], f"policy {item['policy']}", item.get("status") or "", *marks]
    told = " · ".join(escape(fact) for fact in facts if fact)
    return "\n".join([*_warnings(item), f"{style(escape(item['name']), 'bold')}  {told}"])


def created(result: Mapping[str, Any]) -> str:
    """What `init` did, or found done."""
    return f"{'created' if result.get('created', True) else 'here already:'} {agent(result)}"


def _warnings(item: Mapping[str, Any]) -> list[str]:
    """Warnings that this installation is no longer the agent's, or seems not to be."""
    return [style(text, "red") for key, text in _GONE.items() if item.get(key)]


_GONE = {
    "retired": "This installation was revoked or replaced: nothing reaches it, and nobody takes its word.",
    "behind": "A contact knows a newer identity of this agent: it may live elsewhere now. See: p2p-agents doctor",
}


def _agent_cells(item: Mapping[str, Any]) -> tuple[str, ...]:
    marks = "".join(mark for key, mark in (("default", " *"), ("hidden", " (hidden)")) if item.get(key))
    return item["name"] + marks, item["id"][:10], item["kind"], item["policy"], item.get("status") or ""


def identity(result: Mapping[str, Any]) -> str:
    """An identity log, and where the next root key is."""
    rows = [(str(e["n"]), e["kind"], (e["device"] or "")[:20], clock(e["time"])) for e in result["entries"]]
    elsewhere = "not on this machine: it belongs to the installation with the root key"
    where = {"here": "on this machine too", "exported": "exported"}.get(result["next_root"], elsewhere)
    return f"{table(('N', 'KIND', 'DEVICE', 'TIME'), rows)}\nnext root key: {where}"


def exported(result: Mapping[str, Any]) -> str:
    return f"next root key moved to {escape(result['path'])}: the only copy, keep it elsewhere"


def backed_up(result: Mapping[str, Any]) -> str:
    lacks = "" if result["next_root"] == "here" else "; it lacks the next root key, which was exported"
    count = f"{_contacts(result['contacts'])}, {result['bytes']} bytes"
    return f"written and read again: {escape(result['path'])} ({count}){lacks}"


def restored(result: Mapping[str, Any]) -> str:
    count = f"{_contacts(result['contacts'])}, {result['entries']} {'entry' if result['entries'] == 1 else 'entries'}"
    then = f"{count}; its former devices are revoked. Make a new backup: p2p-agents backup export FILE"
    return f"{agent(result)}\n{fold(then)}"


def _contacts(number: int) -> str:
    return f"{number} contact{'' if number == 1 else 's'}"


def devices(result: Mapping[str, Any]) -> str:
    rows = [(d["name"] or "-", d["id"][:20], d["state"], _place(d)) for d in result["devices"]]
    return table(("NAME", "ID", "STATE", ""), rows)


def _place(device: Mapping[str, Any]) -> str:
    if not device["here"]:
        return ""
    return "here, with the root key" if device["root"] else "here"


def contacts(result: Mapping[str, Any]) -> str:
    rows = [_contact_cells(contact) for contact in result["contacts"]]
    return table(("NAME", "PETNAME", "ID", "KIND", "TRUST", "SINCE"), rows) if rows else "no contacts yet"


def contact(result: Mapping[str, Any]) -> str:
    return "  ".join(escape(cell) for cell in _contact_cells(result["contact"]) if cell)


def _contact_cells(item: Mapping[str, Any]) -> tuple[str, ...]:
    marks = [mark for mark in ("allowed", "frozen") if item.get(mark)]
    trust = ", ".join([_standing(item), *marks])
    return item["name"], item.get("petname") or "", item["id"][:10], item["kind"], trust, clock(item.get("since"))


def allowlist(result: Mapping[str, Any]) -> str:
    rows = [_allowed_cells(entry) for entry in result["allowlist"]]
    return table(("NAME", "PETNAME", "ID", "TRUST", "SINCE"), rows) if rows else "the allowlist is empty"


def allowed(result: Mapping[str, Any]) -> str:
    """One line of the allowlist, its id whole where it has no name."""
    entry = result["listed"]
    return "  ".join(escape(cell) for cell in _allowed_cells(entry, None if not entry["name"] else 10) if cell)


def _allowed_cells(item: Mapping[str, Any], chars: int | None = 10) -> tuple[str, ...]:
    return item["name"] or "", item["petname"] or "", item["id"][:chars], item["trust"], clock(item["since"])


def linked(result: Mapping[str, Any]) -> str:
    """The agent that lives here too now."""
    found = result["agent"]
    return f"{style(escape(found['name']), 'bold')} lives here too  {short(found['id'])} · its contacts follow"


def paired(result: Mapping[str, Any]) -> str:
    """The result of a code: a new contact, or an installation of the agent itself."""
    if "device" in result:
        return f"linked {style(escape(result['device']['name']), 'bold')}  {short(result['device']['id'])}"
    found = result["contact"]
    name = found.get("petname") or found["name"]
    trust = "" if result["trust"] == "paired" else f" · {escape(result['trust'])}"
    return f"paired with {style(escape(name), 'bold')}  {short(found['id'])}{trust}"


def code_state(result: Mapping[str, Any]) -> str:
    """The state of a code, and the wrong tries."""
    wrong = [wrong_try(item) for item in result["wrong"]]
    if result["state"] == "paired":
        return "\n".join([*wrong, paired(result)])
    left = (
        f" · {_tries(result['tries'])} left · until {clock(result['expires'])}" if result["state"] == "waiting" else ""
    )
    return "\n".join([*wrong, f"{escape(result['state'])}{left}"])


def wrong_try(item: Mapping[str, Any]) -> str:
    """A warning: a typing error, or somebody who is guessing."""
    end = f"{_tries(item['left'])} left" if item["left"] else "it is dead now"
    return f"{clock(item['time'])}  somebody at {escape(item['from'])} tried this code with wrong words: {end}"


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"


def trust(result: Mapping[str, Any]) -> str:
    """The facts that a human compares and decides by."""
    peer = result["peer"]
    allowed = " · allowed" if result.get("allowed") else ""
    frozen = [f"frozen: {escape(result['frozen'])}"] if result.get("frozen") else []
    events = [
        f"{clock(event['time'])}  {escape(event['kind'])}: {escape(event['detail'])}" for event in result["events"]
    ]
    name = style(escape(peer.get("petname") or peer["name"]), "bold")
    head = f"{name}  {short(peer['id'])} · {escape(_standing(result))}{allowed}"
    return "\n".join([head, *frozen, digits(result["safety_number"]), *events])


def digits(number: str) -> str:
    """A safety number in three rows of four groups, to be read aloud."""
    groups = number.split()
    return "\n".join("  " + " ".join(groups[row : row + 4]) for row in range(0, len(groups), 4))


def requests(result: Mapping[str, Any]) -> str:
    if not result["requests"]:
        return "no requests"
    return "\n".join(request(item) for item in result["requests"])


def request(item: Mapping[str, Any]) -> str:
    by = item.get("introducer")
    way = "introduction of" if by else "from" if item["direction"] == "in" else "to"
    about = f"{clock(item['time'])} · {short(item['id'])} · {escape(item['kind'])} · {escape(item['state'])}"
    whose = f" by {who(by)}" if by else ""
    name = style(escape((item["name"] or "(no name)") + _likeness(item)), "bold")
    head = f"{way} {name}{whose}  {style(about, 'dim')}"
    return f"{head}\n{block(item['text'])}" if item.get("text") else head


def request_address(result: Mapping[str, Any]) -> str:
    """The address alone, so that it can be copied or piped, and below it why it cannot be used yet, or not by all."""
    if not result["address"]:
        return "withdrawn: nobody can ask over a bridge any more"
    why = escape(result["why"] or "")
    shut = f"\n\n{why}" if why else ""
    if not result["open"]:
        shut = f"\n\nno request can be left there yet: {why or 'ask again'}"
    return escape(result["address"]) + shut


def introduced(result: Mapping[str, Any]) -> str:
    """A line for each of the two."""
    return "\n".join(
        f"{escape(sent['state'])} to {escape(called(sent['to']))}: who {escape(called(sent['about']))} is"
        for sent in result["introductions"]
    )


def shown(result: Mapping[str, Any]) -> str:
    """A message and its recipients."""
    rows = [
        (called(to), (to.get("device") or "")[:10], to["state"], to.get("why") or "", clock(to.get("time")))
        for to in result["recipients"]
    ]
    text = message(result["message"])
    return f"{text}\n{table(('RECIPIENT', 'DEVICE', 'STATE', 'WHY', 'TIME'), rows)}" if rows else text


def pong(result: Mapping[str, Any]) -> str:
    path = str(result["path"]) if not result.get("bridge") else f"bridge {result['bridge']}: {result['why']}"
    return f"{escape(called(result['to']))} answered in {result['rtt_ms']:.1f} ms ({escape(path)})"


def checks(result: Mapping[str, Any]) -> str:
    """One line per check, and what to do about those that failed; past events come with their time."""
    lines = []
    for check in result["checks"]:
        then = check.get("time")
        marks = {True: style("ok  ", "green"), False: style("FAIL", "red")}
        mark = f"{style('then', 'dim')}  {clock(then)}" if then else marks.get(check["ok"], style("?   ", "yellow"))
        lines.append(fold(f"{mark}  {escape(check['name'])}: {escape(check['detail'])}", "      "))
        if check["ok"] is not True and check.get("hint"):
            lines.append(fold(f"      {escape(check['hint'])}", "      "))
    return "\n".join(lines)


def fields(result: Mapping[str, Any]) -> str:
    """Names and values, one a line."""
    width = max(map(len, result), default=0)
    return "\n".join(f"{name:<{width}}  {escape(str(value))}" for name, value in result.items())
