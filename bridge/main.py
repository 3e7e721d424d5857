"""The entry of `p2p-bridge`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys

from bridge.server import DEFAULT_PORT, BridgeServer, Settings
from p2p_agents import exits
from p2p_agents.errors import P2PError
from p2p_agents.wire.relay_answers import Admission


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="p2p-bridge")
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--data", default="p2p-bridge-data")
    parser.add_argument("--admission", default="open", choices=list(Admission))
    parser.add_argument("--public-host", default="")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings(told.data, told.host, told.port, told.public_host, Admission(told.admission))
    try:
        asyncio.run(_run(settings))
    except P2PError as error:
        print(f"p2p-bridge: {error.message}", file=sys.stderr)  # noqa: T201 - the last word
        return error.exit
    return exits.OK


async def _run(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server = BridgeServer(settings)
    address = await server.start()
    print(json.dumps({"type": "ready", "address": str(address)}), flush=True)  # noqa: T201 - the result
    await stopping.wait()
    await server.stop()
