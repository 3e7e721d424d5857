"""Agents that pair, and the wire between a displayer and a joiner, in the open for a man in the middle."""

from __future__ import annotations

from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.codes import Code
from p2p_agents.crypto.identity import add_device, inception, replay
from p2p_agents.crypto.introduction import Self
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.link.displaying import Displayer
from p2p_agents.link.joining import Joiner
from p2p_agents.link.pairing import Action, Dead, Met, Over, Send
from p2p_agents.wire.pairing import Purpose, decode_message, encode_message
from tests.crypto.ends import START_MS, Seeded

NOW = START_MS
CODE = Code("coral", "fiddle", "7Q2M0")
OTHER_WORDS = Code("coral", "copper", "7Q2M0")
PREKEY = Seeded("prekey").kem_key().public


def agent(name: str) -> Self:
    """An agent on one device."""
    seeds = Seeded(name)
    root, following, device = (SigningKey.from_seed(seeds.draw(32)) for _ in range(3))
    identity = replay([inception(root, following.public, NOW)])
    identity = replay([*identity.entries, add_device(identity, root, device, "laptop")])
    bundle = sign_bundle(device, identity.agent, PREKEY, NOW + 86_400_000)
    return Self(device, identity, bundle, name, "human")


def installation(name: str) -> Self:
    """A device that is nobody's yet."""
    return Self(SigningKey.from_seed(Seeded(name).draw(32)), None, b"", name, "phone")


ALICE, BOB, THIEF = map(agent, ("alice", "bob", "thief"))
PHONE = installation("phone")


def shows(me: Self = ALICE, *, code=CODE, purpose: Purpose = Purpose.CONTACT) -> Displayer:
    return Displayer(code, purpose, me, Seeded(f"{me.name} shows"), NOW)


def types(me: Self = BOB, *, code=CODE, purpose: Purpose = Purpose.CONTACT, spent: int = 0) -> Joiner:
    return Joiner(code, purpose, me, Seeded(f"{me.name} types"), NOW, spent=spent)


class Wire:
    """Carries one run between two machines, message by message, and remembers what each side wanted done."""

    def __init__(self, displayer: Displayer, joiner: Joiner, *, run: int = 1, gift: bytes = b"", alter=None) -> None:
        self.displayer, self.joiner, self.run, self.gift = displayer, joiner, run, gift
        self.alter = alter or (lambda index, message: message)
        self.wanted: dict[str, list[Action]] = {"displayer": [], "joiner": []}
        self.messages: list = []
        self._pending: list[tuple[str, bytes]] = []

    def begin(self, now_ms: int = NOW) -> Wire:
        self._do("joiner", self.joiner.start(self.run, now_ms))
        return self

    def step(self, now_ms: int = NOW) -> None:
        """Deliver the oldest message."""
        to, data = self._pending.pop(0)
        message = self.alter(len(self.messages), decode_message(data))
        self.messages.append(message)
        machine = self.displayer if to == "displayer" else self.joiner
        self._do(to, machine.received(self.run, encode_message(message), now_ms))

    def finish(self, now_ms: int = NOW) -> Wire:
        while self._pending:
            self.step(now_ms)
        return self

    def met(self, side: str) -> Met | None:
        return next((a for a in self.wanted[side] if isinstance(a, Met)), None)

    def ends(self, side: str) -> list[object]:
        """Why the run, then the code, ended at a side."""
        return [action.reason for action in self.wanted[side] if isinstance(action, Over | Dead)]

    def _do(self, side: str, actions: list[Action]) -> None:
        for action in actions:
            self.wanted[side].append(action)
            if isinstance(action, Send) and action.run == self.run:
                self._pending.append(("joiner" if side == "displayer" else "displayer", action.data))
            if isinstance(action, Met) and side == "displayer":
                self._do(side, self.displayer.kept(self.run, self.gift))


def pair(displayer: Displayer, joiner: Joiner, **more) -> Wire:
    return Wire(displayer, joiner, **more).begin().finish()
