"""Discovery by multicast DNS. Anything found here is a rumour: only a QUIC handshake proves who is there."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from typing import TYPE_CHECKING, Any

import zeroconf
from zeroconf import IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from p2p_agents.errors import PeerFault
from p2p_agents.limits import DISCOVERED_AGENTS
from p2p_agents.net.interfaces import POLL_S, InterfaceWatch, local_addresses, loopback_addresses
from p2p_agents.quic.address import canonical_host
from p2p_agents.wire.advert import Advert, decode_txt, encode_txt, instance_label

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from p2p_agents.quic.address import Address

log = logging.getLogger(__name__)
logging.getLogger("zeroconf").setLevel(logging.ERROR)  # it warns at length of each sleeping interface

SERVICE = "_p2p-agents._udp.local."
RESOLVE_MS = 3_000
RESOLVING = 64  # questions in flight: beyond that, a name is resolved when it is next announced
ADDRESSES_PER_ADVERT = 16

LIMITED_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
FOREIGN = (OSError, RuntimeError, zeroconf.Error, asyncio.TimeoutError)


class Mdns:
    """Announces our agents and reports those of others; adverts of nodes we announce are our own."""

    def __init__(
        self,
        found: Callable[[Advert, tuple[Address, ...]], object],
        lost: Callable[[bytes, int], object],
        *,
        node: bytes | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        self.problem: str | None = "starting"
        self._found = found
        self._lost = lost
        self._own = {node} if node is not None else set()
        self._poll_s = poll_s
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._watch = InterfaceWatch(self._interfaces_changed, every_s=poll_s)
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._wanted: dict[str, Advert] = {}
        self._registered: dict[str, AsyncServiceInfo] = {}
        self._hosts: tuple[str, ...] = ()
        self._known: dict[str, tuple[Advert, tuple[Address, ...]]] = {}
        self._resolving: dict[str, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        self._goodbyes: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        """Announce and browse; anything that this machine does not allow is in `problem`, and tried again."""
        await self._watch.start()
        await self.refresh()
        self._keep(self._follow_interfaces(), self._tasks)

    async def advertise(self, adverts: Sequence[Advert]) -> None:
        """Announce exactly these: register new ones, update changed ones in place, withdraw the rest."""
        self._wanted = {instance_label(advert.agent, advert.node): advert for advert in adverts}
        self._own |= {advert.node for advert in adverts}
        async with self._turn:
            await self._reconcile()

    async def refresh(self) -> None:
        """Use the interfaces that exist now."""
        async with self._turn:
            try:
                self._hosts = await asyncio.to_thread(_announced_hosts)
                if self._zeroconf is None:
                    await self._open()
                else:
                    await self._zeroconf.async_update_interfaces()
                self.problem = None
            except FOREIGN as fault:
                self.problem = f"multicast DNS does not work here: {fault}"
                log.info(self.problem)
            await self._reconcile()

    async def stop(self) -> None:
        """Withdraw every advert on the network, and stop."""
        await self._watch.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._goodbyes, return_exceptions=True)
        async with self._turn:
            self.problem = "stopped"
            zeroconf_, self._zeroconf = self._zeroconf, None
            self._registered.clear()
            if zeroconf_ is None:
                return
            try:
                if self._browser is not None:
                    await self._browser.async_cancel()
                await zeroconf_.async_close()
            except FOREIGN as fault:
                log.info("closing multicast DNS: %s", fault)

    # --- ours ---

    async def _open(self) -> None:
        opened = _open_zeroconf()
        try:
            await opened.zeroconf.async_wait_for_start()
            self._browser = AsyncServiceBrowser(opened.zeroconf, SERVICE, handlers=[self._on_change])
        except FOREIGN:
            await opened.async_close()
            raise
        self._zeroconf = opened

    def _interfaces_changed(self) -> None:
        self._changed.set()

    async def _follow_interfaces(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._changed.wait(), None if self.problem is None else self._poll_s)
            except TimeoutError:
                log.debug("trying multicast DNS again")
            self._changed.clear()
            await self.refresh()

    async def _reconcile(self) -> None:
        """Make the registered adverts the wanted ones. Runs under `_turn`."""
        if self._zeroconf is None:
            return
        try:
            for label in self._registered.keys() - self._wanted.keys():
                goodbye = await self._zeroconf.async_unregister_service(self._registered.pop(label))
                self._keep(goodbye, self._goodbyes)
            for label, advert in self._wanted.items():
                await self._register(self._zeroconf, label, self._service_info(label, advert))
        except FOREIGN as fault:
            self.problem = f"cannot announce by multicast DNS: {fault}"
            log.info(self.problem)

    async def _register(self, zc: AsyncZeroconf, label: str, info: AsyncServiceInfo) -> None:
        before = self._registered.get(label)
        if before is None:
            # Our labels are unique, so we do not probe whether they are taken: it would cost a second.
            self._keep(await zc.async_register_service(info, cooperating_responders=True), self._tasks)
        elif _same(before, info):
            return
        else:
            self._keep(await zc.async_update_service(info), self._tasks)
        self._registered[label] = info

    def _service_info(self, label: str, advert: Advert) -> AsyncServiceInfo:
        properties: dict[str | bytes, str | bytes | None] = dict(encode_txt(advert).items())
        return AsyncServiceInfo(
            SERVICE,
            f"{label}.{SERVICE}",
            port=advert.port,
            properties=properties,
            server=f"p2pa-{advert.node.hex()[:32]}.local.",
            parsed_addresses=list(self._hosts),
        )

    def _keep(self, work: Awaitable[Any], among: set[asyncio.Future[Any]]) -> asyncio.Future[Any]:
        """Hold a task that runs on by itself (announcements repeat for a second), and log its failure."""
        task = asyncio.ensure_future(work)  # noqa: TID251 - held in `among`; zeroconf's are tasks already
        among.add(task)
        task.add_done_callback(among.discard)
        task.add_done_callback(_log_fault)
        return task

    # --- others' ---

    def _on_change(
        self, zeroconf: zeroconf.Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self._forget(name)
            return
        info = AsyncServiceInfo(SERVICE, name)
        if info.load_from_cache(zeroconf):
            self._learn(name, info)
        elif name not in self._resolving and len(self._resolving) < RESOLVING:
            self._resolving[name] = task = self._keep(self._resolve(zeroconf, name, info), self._tasks)
            task.add_done_callback(lambda _: self._resolving.pop(name, None))

    async def _resolve(self, zc: zeroconf.Zeroconf, name: str, info: AsyncServiceInfo) -> None:
        if await info.async_request(zc, RESOLVE_MS):
            self._learn(name, info)

    def _learn(self, name: str, info: AsyncServiceInfo) -> None:
        try:
            advert = decode_txt(info.properties, info.port or 0)
        except PeerFault as fault:
            log.debug("ignoring an announcement: %s", fault)
            return
        if advert.node in self._own or name.lower() != f"{instance_label(advert.agent, advert.node)}.{SERVICE}":
            return
        news = advert, _addresses(info, advert.port)
        if self._known.get(name) == news:
            return
        self._known[name] = news
        while len(self._known) > DISCOVERED_AGENTS:
            self._forget(next(iter(self._known)))
        self._found(*news)

    def _forget(self, name: str) -> None:
        known = self._known.pop(name, None)
        if known is not None:
            self._lost(known[0].agent, known[0].incarnation)


def _log_fault(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.warning("multicast DNS: %s", fault)


def _open_zeroconf() -> AsyncZeroconf:
    """Both IP versions where possible, IPv4 alone otherwise. Raises OSError or RuntimeError."""
    try:
        return AsyncZeroconf(ip_version=IPVersion.All)
    except (OSError, RuntimeError):
        return AsyncZeroconf(ip_version=IPVersion.V4Only)


def _announced_hosts() -> tuple[str, ...]:
    """Without scopes, which mean nothing elsewhere; loopback only if there is nothing else."""
    hosts = local_addresses() or loopback_addresses()
    return tuple(dict.fromkeys(host.partition("%")[0] for host in hosts))[:ADDRESSES_PER_ADVERT]


def _same(before: AsyncServiceInfo, after: AsyncServiceInfo) -> bool:
    return (before.text, before.port, before.parsed_addresses()) == (
        after.text,
        after.port,
        after.parsed_addresses(),
    )


def _addresses(info: AsyncServiceInfo, port: int) -> tuple[Address, ...]:
    """The addresses of the advert that can be dialled."""
    hosts = info.parsed_scoped_addresses()[:ADDRESSES_PER_ADVERT]
    return tuple((canonical_host(host), port) for host in hosts if _can_be_dialled(host))


def _can_be_dialled(host: str) -> bool:
    literal, _, scope = host.partition("%")
    ip = ipaddress.ip_address(literal)
    if ip.is_multicast or ip.is_unspecified or ip == LIMITED_BROADCAST:
        return False
    return ip.version == 4 or not ip.is_link_local or bool(scope)
