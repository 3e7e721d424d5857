"""The options of `p2p-bridge run`."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.bounds import Quotas
from bridge.proxies import Proxies
from p2p_agents.wire.relay_answers import Admission

DEFAULT_PORT = 4433


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one bridge process."""

    data: str
    host: str | None = None
    port: int = DEFAULT_PORT
    public_host: str = ""
    admission: Admission = Admission.OPEN
    tls: bool = True
    certificate: tuple[str, str] | None = None
    metrics: bool = False
    log_addresses: bool = False
    quotas: Quotas = field(default_factory=Quotas)
    store: str = ""  # where blobs are stored; "": in `data`
    proxies: Proxies = field(default_factory=Proxies)  # those trusted to say where clients come from
    public_port: int = 0  # the one that clients use; 0: `port`
