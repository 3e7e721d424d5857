"""A node whose lane is measured: JSON lines on stdin say what to take or to give, and on stdout what was told of it.

{"take": ID, "peer": NAME, "place": PATH, "size": BYTES, "pieces": [HEX]}
{"give": ID, "peer": NAME, "place": PATH, "size": BYTES, "offset": BYTES}
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from p2p_agents.core.contact import directory
from p2p_agents.core.delivery import bulk
from p2p_agents.node import daemon
from p2p_agents.node.node import Node
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


class Carrier(Node):
    """A node that does what it reads."""

    async def start(self) -> None:
        await super().start()
        asyncio.get_running_loop().add_reader(sys.stdin, self._read_line)

    def _read_line(self) -> None:
        line = sys.stdin.readline()
        if not line:
            asyncio.get_running_loop().remove_reader(sys.stdin)
            return
        said = json.loads(line)
        self._writer.submit(lambda core: _begin(core, said))


def _begin(core: Core, said: dict[str, Any]) -> None:
    agent = core.acting(None)
    peer = directory.resolve(core, agent, said["peer"]).agent
    link = next(link for link in core.links_to(agent.local.id, peer) if link.up)
    place, size = said["place"], said["size"]
    if "take" in said:
        body = bulk.Body(size, tuple(map(bytes.fromhex, said["pieces"])))
        bulk.take(core, link, bytes.fromhex(said["take"]), body, place, _tell)
    else:
        bulk.give(core, link, bytes.fromhex(said["give"]), place, said["offset"], size, _tell)


def _tell(_: Core, news: bulk.News) -> None:
    sys.stdout.write(json.dumps({"news": type(news).__name__, "about": repr(news)}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(daemon.run(Home(), Carrier, foreground=True))
