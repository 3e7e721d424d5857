"""The commands of `p2p-bridge`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge import bounds, exhibits, face
from bridge.bounds import Pace, Quotas
from bridge.operator import Operator
from bridge.proxies import Proxies
from bridge.settings import DEFAULT_PORT, Settings
from bridge.sizes import parse_size
from p2p_agents import __version__, exits
from p2p_agents.errors import BadBridge, Usage
from p2p_agents.wire.bridge_address import KEY_BYTES, BridgeAddress, parse_bridge
from p2p_agents.wire.relay_answers import Admission

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULTS = Quotas()
MINUTES_MAX = 366 * 24 * 60  # that a token admits: without a limit for longer


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _application(help_: str, *examples: str, **settings: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=help_,
        epilog=_examples(*examples),
        **settings,
    )


app = _application(
    "The bridge of p2p-agents: it keeps sealed messages between agents on different networks until they are fetched.",
    "p2p-bridge run --public-host bridge.example.org",
    "p2p-bridge token create --label team",
    "p2p-bridge doctor",
)
tokens = _application(
    "Admission tokens: whoever holds one may make queues (run --admission token).",
    "p2p-bridge token create --label team --accounts 16",
    "p2p-bridge token list",
    "p2p-bridge token revoke TOKEN_ID",
)
allowing = _application(
    "The list of accounts that may make queues (run --admission list).",
    "p2p-bridge allow add ACCOUNT --label alice",
    "p2p-bridge allow list",
    "p2p-bridge allow remove ACCOUNT",
)
app.add_typer(tokens, name="token")
app.add_typer(allowing, name="allow")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A bridge has the version of the agents that it was installed with."""


Data = Annotated[
    str, typer.Option("--data", metavar="DIR", envvar="P2P_BRIDGE_DATA", help="Where the bridge keeps everything.")
]
Store = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="P2P_BRIDGE_STORE",
        callback=lambda context, parameter, url: _without_password(context, parameter, url),
        help="A Redis for several bridges: redis://HOST:PORT/0?password_file=FILE; else a file in --data.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON, as whenever stdout is not a terminal.")]
Label = Annotated[str, typer.Option("--label", metavar="TEXT", help="For whom it is; only its operator sees this.")]
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account's key, as the client shows it.")]


def _option(name: str, metavar: str, about: str, **more: Any) -> Any:
    """An option of `run`, which the environment may set too."""
    return typer.Option(name, metavar=metavar, envvar=_variable(name), help=about, **more)


def _flag(name: str, about: str) -> Any:
    return typer.Option(name, envvar=_variable(name), help=about)


def _variable(name: str) -> str:
    return "P2P_BRIDGE_" + name.removeprefix("--").replace("-", "_").upper()


@app.command(
    epilog=_examples(
        "p2p-bridge run",
        "p2p-bridge run --public-host bridge.example.org --port 443 --admission token",
        "p2p-bridge run --host 127.0.0.1 --no-tls --metrics --json",
    )
)
def run(
    data: Data = "p2p-bridge-data",
    store: Store = "",
    host: Annotated[str | None, _option("--host", "IP", "The address to listen on; else every one.")] = None,
    port: Annotated[int, _option("--port", "N", "UDP and TCP; 0: a free one.", min=0, max=65_535)] = DEFAULT_PORT,
    public_host: Annotated[str, _option("--public-host", "NAME", "How clients reach this machine.")] = "",
    public_port: Annotated[int, _option("--public-port", "N", "And by which port, if not --port.", max=65_535)] = 0,
    admission: Annotated[Admission, _option("--admission", "HOW", "Who may make queues: open, token or list.")] = (
        Admission.OPEN
    ),
    cert: Annotated[str, _option("--cert", "FILE", "A certificate's chain for TCP, in PEM; else its own.")] = "",
    key: Annotated[str, _option("--key", "FILE", "That certificate's key.")] = "",
    no_tls: Annotated[bool, _flag("--no-tls", "TCP without TLS, behind a proxy that has it.")] = False,
    trusted_proxy: Annotated[
        str,
        _option("--trusted-proxy", "CIDR", "Proxies that tell where clients come from, by commas: X-Forwarded-For."),
    ] = "",
    metrics: Annotated[bool, _flag("--metrics", "Show /metrics to other machines too.")] = False,
    log_addresses: Annotated[bool, _flag("--log-addresses", "Log where clients come from.")] = False,
    blob_size: Annotated[str, _option("--blob-size", "SIZE", "Of one blob, at most.")] = str(DEFAULTS.blob_bytes),
    queue_blobs: Annotated[int, _option("--queue-blobs", "N", "Blobs in one queue.")] = DEFAULTS.queue_blobs,
    queue_size: Annotated[str, _option("--queue-size", "SIZE", "Of one queue.")] = "64M",
    kept_days: Annotated[int, _option("--kept-days", "N", "A blob nobody fetched is forgotten.", min=1, max=365)] = 14,
    account_queues: Annotated[int, _option("--account-queues", "N", "One account's.")] = DEFAULTS.account_queues,
    account_size: Annotated[str, _option("--account-size", "SIZE", "Of all queues of one account.")] = "1G",
    network_size: Annotated[str, _option("--network-size", "SIZE", "Of one address, without a token.")] = "256M",
    open_size: Annotated[str, _option("--open-size", "SIZE", "Of all accounts without a token.")] = "4G",
    work_bits: Annotated[int, _option("--work-bits", "N", "Work for a public queue.")] = DEFAULTS.work_bits,
    disk_reserve: Annotated[str, _option("--disk-reserve", "SIZE", "Of the disk, left free.")] = "64M",
    rate: Annotated[int, _option("--rate", "N", "Requests a second of one client.", min=1)] = 2_000,
    json: Json = False,
) -> int:
    """Run a bridge until it is told to stop."""

    def act(shown: face.Face) -> int:
        from bridge import daemon

        quotas = _checked(
            lambda: Quotas(
                blob_bytes=parse_size(blob_size, "--blob-size"),
                queue_blobs=queue_blobs,
                queue_bytes=parse_size(queue_size, "--queue-size"),
                kept_s=kept_days * bounds.DAY_S,
                account_queues=account_queues,
                account_bytes=parse_size(account_size, "--account-size"),
                network_bytes=parse_size(network_size, "--network-size"),
                open_bytes=parse_size(open_size, "--open-size"),
                work_bits=work_bits,
                disk_reserve=parse_size(disk_reserve, "--disk-reserve"),
                requests=Pace(rate, 4 * rate),
            )
        )
        if bool(cert) != bool(key):
            raise Usage("--cert and --key go together", hint="give both, or neither for the bridge's own")
        _check_host(public_host)
        files = (cert, key) if cert else None
        settings = Settings(data, host, port, public_host, admission, not no_tls, files, metrics, log_addresses, quotas)
        proxies = Proxies.parse(trusted_proxy)
        return daemon.run(replace(settings, store=store, public_port=public_port, proxies=proxies), shown)

    return face.run(act, json=json)


@tokens.command(
    "create",
    epilog=_examples("p2p-bridge token create --label team", "p2p-bridge token create --accounts 1 --minutes 10"),
)
def create_token(
    label: Label = "",
    accounts: Annotated[int, typer.Option("--accounts", metavar="N", min=1, help="How many it may admit.")] = (
        DEFAULTS.token_accounts
    ),
    minutes: Annotated[
        int,
        typer.Option(
            "--minutes", metavar="N", min=0, max=MINUTES_MAX, help="It admits nobody new after these; 0: no end."
        ),
    ] = 0,
    data: Data = "p2p-bridge-data",
    store: Store = "",
    json: Json = False,
) -> int:
    """Make a token and show it, this once."""
    return _operate(lambda operator: operator.create_token(label, accounts, minutes), exhibits.token, data, store, json)


@tokens.command("list", epilog=_examples("p2p-bridge token list", "p2p-bridge token list --json"))
def list_tokens(data: Data = "p2p-bridge-data", store: Store = "", json: Json = False) -> int:
    """List tokens: their ids, for whom they are, how often they were used."""
    return _operate(lambda operator: operator.list_tokens(), exhibits.tokens, data, store, json)


@tokens.command("revoke", epilog=_examples("p2p-bridge token revoke TOKEN_ID"))
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="A token's id.")],
    data: Data = "p2p-bridge-data",
    store: Store = "",
    json: Json = False,
) -> int:
    """Stop admitting accounts by it. Queues created with it stay; see purge."""
    return _operate(lambda operator: operator.revoke_token(token), lambda _: "revoked", data, store, json)


@allowing.command("add", epilog=_examples("p2p-bridge allow add ACCOUNT --label alice"))
def allow_add(
    account: Account, label: Label = "", data: Data = "p2p-bridge-data", store: Store = "", json: Json = False
) -> int:
    """Put an account on the list."""
    return _operate(lambda operator: operator.allow(account, label), lambda _: "on the list", data, store, json)


@allowing.command("list", epilog=_examples("p2p-bridge allow list", "p2p-bridge allow list --json"))
def allow_list(data: Data = "p2p-bridge-data", store: Store = "", json: Json = False) -> int:
    """Show the list."""
    return _operate(lambda operator: operator.list_allowed(), exhibits.allowed, data, store, json)


@allowing.command("remove", epilog=_examples("p2p-bridge allow remove ACCOUNT"))
def allow_remove(account: Account, data: Data = "p2p-bridge-data", store: Store = "", json: Json = False) -> int:
    """Take an account off the list. Its queues stay; see purge."""
    return _operate(lambda operator: operator.disallow(account), lambda _: "off the list", data, store, json)


@app.command(
    epilog=_examples("p2p-bridge stats", "p2p-bridge stats --largest 50", "p2p-bridge stats --network 203.0.113.9")
)
def stats(
    largest: Annotated[
        int, typer.Option("--largest", metavar="N", min=0, max=1_000, help="Accounts and networks shown.")
    ] = 10,
    network: Annotated[
        str | None, typer.Option("--network", metavar="IP", help="Only what this address's network holds.")
    ] = None,
    data: Data = "p2p-bridge-data",
    store: Store = "",
    json: Json = False,
) -> int:
    """Show what is stored, which accounts hold the most, and which networks of accounts without a token."""
    if network is not None:
        return _operate(lambda operator: operator.network(network), exhibits.network, data, store, json)
    return _operate(lambda operator: operator.stats(largest), exhibits.stats, data, store, json)


@app.command(epilog=_examples("p2p-bridge purge ACCOUNT"))
def purge(account: Account, data: Data = "p2p-bridge-data", store: Store = "", json: Json = False) -> int:
    """Forget an account, with all its queues and their content."""
    return _operate(lambda operator: operator.purge(account), exhibits.purged, data, store, json)


@app.command(epilog=_examples("p2p-bridge backup bridge-copy.db"))
def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that does not exist yet.")],
    data: Data = "p2p-bridge-data",
    store: Store = "",
    json: Json = False,
) -> int:
    """Copy the whole store, while the bridge runs. The key, bridge.key, is copied once and by hand."""
    return _operate(lambda operator: operator.backup(file), exhibits.backup, data, store, json)


@app.command(epilog=_examples("p2p-bridge doctor", "p2p-bridge doctor --port 443", "p2p-bridge doctor --json"))
def doctor(
    data: Data = "p2p-bridge-data",
    store: Store = "",
    host: Annotated[str | None, _option("--host", "IP", "As for run.")] = None,
    port: Annotated[int, _option("--port", "N", "As for run.", min=1, max=65_535)] = DEFAULT_PORT,
    json: Json = False,
) -> int:
    """Check what this machine allows a bridge."""

    def act(shown: face.Face) -> int:
        from bridge.doctor import run_checks

        checks = run_checks(data, store, host, port)
        shown.show({"checks": checks}, exhibits.checks)
        return exits.FAILURE if any(check["ok"] is False for check in checks) else exits.OK

    return face.run(act, json=json)


def _operate(ask: Callable[[Operator], Any], human: Callable[[Any], str], data: str, store: str, json: bool) -> int:
    return face.run(lambda shown: shown.show(ask(Operator(data, store)), human), json=json)


def _without_password(context: typer.Context, parameter: typer.CallbackParam, url: str) -> str:
    """Refuse passwords: every process of the machine can read a command line."""
    source = context.get_parameter_source(parameter.name or "")
    if source is not None and source.name == "COMMANDLINE" and re.search(r"//[^/]*:[^/]*@|[?&]password=", url):
        raise typer.BadParameter(
            "a password does not belong on a command line: use ?password_file=FILE, or $P2P_BRIDGE_STORE"
        )
    return url


def _check_host(name: str) -> None:
    """The host to show must be one that clients can read back."""
    try:
        if name:
            parse_bridge(str(BridgeAddress(name.strip("[]"), DEFAULT_PORT, bytes(KEY_BYTES))))
    except BadBridge:
        hint = "give a name such as bridge.example.org, or an IP address, without a port"
        raise Usage(f"--public-host is not a host: {name[:80]!r}", hint=hint) from None


def _checked(make: Callable[[], Quotas]) -> Quotas:
    try:
        return make()
    except ValueError as error:
        raise Usage(f"a quota is out of bounds: {error}", hint="run: p2p-bridge run --help") from error
