"""The files of deploy/: what they name exists, what this machine can check is checked, the proxies carry both ways."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.datastructures import Headers

from bridge import bounds, cli
from bridge.keys import NAME as KEY_NAME
from bridge.page import ROUTE
from bridge.proxies import Proxies
from bridge.server import BridgeServer
from bridge.settings import DEFAULT_PORT, Settings
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.relay import WEBSOCKET_PATH
from p2p_agents.wire.relay_answers import Done
from tests.bridge.client import Queue, by_quic, by_web, met
from tests.bridge.store_contract import in_loop

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
OPERATIONS = ROOT / "docs" / "operations.md"
SPEAKING = [*FILES, OPERATIONS]
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
BESIDE = Proxies.parse("127.0.0.1")
EXPOSURE = 2.0  # of systemd's 0 to 10: the least that a service with a network may have is above 1


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """("token create", its command) of every command of p2p-bridge."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(commands(typer.main.get_command(cli.app)))
OPTIONS = {name: {o for p in command.params for o in p.opts} for name, command in COMMANDS.items()}
VARIABLES = {p.envvar for command in COMMANDS.values() for p in command.params if p.envvar}


def text(path: Path) -> str:
    """With lines that a shell would join joined."""
    return re.sub(r"\\\n[#\s]*", " ", path.read_text())


# --- what they name exists ---


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.name)
def test_every_variable_is_one(path: Path) -> None:
    named = set(re.findall(r"P2P_BRIDGE_[A-Z_]+", text(path)))
    assert named <= VARIABLES


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.name)
def test_every_command_and_option_is_one(path: Path) -> None:
    for words in re.findall(r"(?<!-n )p2p-bridge(?:@\S+|:[\d.]+)? ((?:run|[a-z]+ )[^\n`#|)&;]*)", text(path)):
        found = [name for name in COMMANDS if f"{words} ".startswith(f"{name} ")]
        if not found and not re.search(r"--\w", words):
            continue  # prose
        assert found, words
        assert set(re.findall(r"(?<=\s)--[a-z-]+", " " + words)) <= OPTIONS[found[0]], words


@in_loop
async def test_every_figure_is_one(tmp_path: Path) -> None:
    server = BridgeServer(Settings(str(tmp_path), "127.0.0.1", 0))
    await server.start()
    shown = server.routes.page("/metrics", Headers(), local=True).body.decode()
    await server.stop()
    known = {name.removesuffix("_total") for name in re.findall(r"^# TYPE (\w+)", shown, re.MULTILINE)}
    named = re.findall(r"p2p_bridge_[a-z_]+", OPERATIONS.read_text())
    assert len(named) > 8
    assert {name.removesuffix("_total") for name in named} <= known


def started(document: Any) -> Iterator[list[str]]:
    """The words given to p2p-bridge by a container."""
    if isinstance(document, dict):
        if "p2p-bridge" in str(document.get("image", "")):
            yield document.get("args") or document["command"]
        for value in document.values():
            yield from started(value)
    elif isinstance(document, list):
        for value in document:
            yield from started(value)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.redis.yaml", "kubernetes.yaml"])
def test_containers_start_a_command_with_its_options(name: str) -> None:
    found = [words for document in yaml.safe_load_all(text(DEPLOY / name)) for words in started(document)]
    assert found
    for verb, *options in found:
        assert set(options) <= OPTIONS[verb]


def test_proxies_pass_what_a_bridge_serves_and_no_metrics() -> None:
    for name in ("Caddyfile", "nginx.conf"):
        for path in (WEBSOCKET_PATH, "/health", f"/{ROUTE}/"):
            assert path in text(DEPLOY / name)
        assert not re.search(r"^[^#\n]*metrics", text(DEPLOY / name), re.MULTILINE)


# --- containers ---


def test_the_image_is_made_of_what_is_there() -> None:
    content = (DEPLOY / "Dockerfile").read_text()
    for words in re.findall(r"^COPY (?!--from)(.+)$", content, re.MULTILINE):
        for source in words.split()[:-1]:
            assert (ROOT / source).exists(), source
    assert f"EXPOSE {DEFAULT_PORT}/udp {DEFAULT_PORT}/tcp" in content
    assert re.findall(r"^USER (\d+)$", content, re.MULTILINE) == ["10001"]
    assert 'ENTRYPOINT ["p2p-bridge"]' in content


def test_the_images_health_check_holds_of_a_bridge(tmp_path: Path) -> None:
    """With TLS and without, and not where nobody answers."""
    joined = re.sub(r"\\\n", "", (DEPLOY / "Dockerfile").read_text())
    found = re.search(r'HEALTHCHECK .* CMD \["python", "-c", "(.+)"\]', joined)
    assert found
    program = found.group(1).encode().decode("unicode_escape")

    @in_loop
    async def check() -> None:
        for tls in (True, False):
            server = BridgeServer(Settings(str(tmp_path), "127.0.0.1", 0, tls=tls))
            address = await server.start()
            asked = program.replace(str(DEFAULT_PORT), str(address.port))
            run = await asyncio.create_subprocess_exec(sys.executable, "-c", asked)
            assert await run.wait() == 0
            await server.stop()
        run = await asyncio.create_subprocess_exec(sys.executable, "-c", asked)
        assert await run.wait() == 1

    check()


@pytest.mark.parametrize("name", ["compose.yaml", "compose.redis.yaml"])
def test_a_composition_names_nothing_that_is_not_in_it(name: str) -> None:
    found = yaml.safe_load(text(DEPLOY / name))
    services = found["services"]
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
        assert set(service.get("networks", [])) <= set(found.get("networks", {}))
        for source, target, *_ in (volume.split(":") for volume in service.get("volumes", [])):
            if not source.startswith("./"):
                assert source in found["volumes"]
            elif source.startswith("./key/"):
                assert target == f"/data/{KEY_NAME}"  # made by whoever follows the first lines
            else:
                assert (DEPLOY / source).is_file()
        for port in service.get("ports", []):
            assert re.fullmatch(r"(80:80|443:443/tcp|443:4433/udp)", port)
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    upstreams = services["caddy"]["environment"]["UPSTREAMS"].split()
    assert set(upstreams) == {f"{name}:{DEFAULT_PORT}" for name in services if name.startswith("bridge")}


def test_what_kubernetes_is_told_hangs_together() -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    kinds = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    for kind, name in (("Deployment", "bridge"), ("StatefulSet", "redis")):
        spec = kinds[kind, name]["spec"]
        pod = spec["template"]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == {"app": name}
        volumes = {v["name"] for v in pod["volumes"]} | {
            v["metadata"]["name"] for v in spec.get("volumeClaimTemplates", [])
        }
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        ports = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in kinds["Service", name]["spec"]["ports"]} <= ports
        assert kinds["Service", name]["spec"]["selector"] == {"app": name}
    (bridge,) = kinds["Deployment", "bridge"]["spec"]["template"]["spec"]["containers"]
    assert {port["containerPort"] for port in bridge["ports"]} == {DEFAULT_PORT}
    assert {mount["mountPath"] for mount in bridge["volumeMounts"]} >= {"/data", f"/data/{KEY_NAME}", "/redis"}
    store = next(one["value"] for one in bridge["env"] if one["name"] == "P2P_BRIDGE_STORE")
    assert store == "redis://redis:6379/0?password_file=/redis/password"
    assert bridge["readinessProbe"]["httpGet"]["path"] == "/health"


def test_redis_is_told_never_to_forget() -> None:
    for name in ("compose.redis.yaml", "kubernetes.yaml"):
        assert "--appendonly yes --appendfsync always" in text(DEPLOY / name)
        assert "--maxmemory-policy noeviction" in text(DEPLOY / name)


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".yaml"], ids=lambda path: path.name)
def test_yaml_is_well_written(path: Path) -> None:
    tool = _tool("yamllint")
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable, braces: disable,"
    rules += " comments: {min-spaces-from-content: 1}, octal-values: disable}}"
    done = subprocess.run([tool, "--strict", "-d", rules, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# --- systemd ---


def test_the_unit_is_one_and_leaves_a_service_little(tmp_path: Path) -> None:
    tool = _tool("systemd-analyze")
    unit = tmp_path / "p2p-bridge.service"
    unit.write_text((DEPLOY / unit.name).read_text().replace("/opt/p2p-agents/bin/p2p-bridge", "/bin/true"))
    done = subprocess.run([tool, "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([tool, "security", "--offline=true", str(unit)], capture_output=True, text=True)
    level = re.search(r"exposure level for p2p-bridge.service: ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level.group(1)) <= EXPOSURE


def test_the_unit_stops_later_than_the_bridge_and_opens_enough_files() -> None:
    content = (DEPLOY / "p2p-bridge.service").read_text()
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", content, re.MULTILINE)
    files = re.search(r"^LimitNOFILE=(\d+)$", content, re.MULTILINE)
    assert seconds
    assert int(seconds.group(1)) > bounds.DRAIN_S
    assert files
    assert int(files.group(1)) >= 2 * bounds.CONNECTIONS


# --- proxies, running ---


def _tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"no {name} here")
    return found


def _ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return found


def _certificate(directory: Path) -> tuple[Path, Path]:
    made = NodeCertificate.from_seed(os.urandom(32))
    chain, key = directory / "fullchain.pem", directory / "privkey.pem"
    chain.write_bytes(made.tls_certificate.public_bytes(Encoding.PEM))
    key.write_bytes(made.tls_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, key


@asynccontextmanager
async def running(*words: str, until: int, **more: Any) -> AsyncIterator[None]:
    """A proxy, from when its TCP port answers."""
    run = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE, **more)
    try:
        async with asyncio.timeout(15):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", until)
                    writer.close()
                    break
                except OSError:
                    assert run.returncode is None, (await run.stderr.read()).decode() if run.stderr else ""
                    await asyncio.sleep(0.02)
        yield
    finally:
        if run.returncode is None:
            run.terminate()
        await run.communicate()


def _nginx() -> str:
    if not STREAM_MODULE.exists():
        pytest.skip("no nginx with its stream module here")
    return _tool("nginx")


@in_loop
async def test_nginx_carries_quic_and_websockets(tmp_path: Path) -> None:
    tool = _nginx()
    server = BridgeServer(Settings(str(tmp_path / "data"), "127.0.0.1", 0, tls=False, proxies=BESIDE))
    inner = await server.start()
    chain, key = _certificate(tmp_path)
    (port,) = _ports(1)
    content = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("include /etc/nginx/modules-enabled/*.conf;", f"load_module {STREAM_MODULE};"),
        ("pid /run/nginx.pid;", f"pid {tmp_path}/pid;"),
        ("user www-data;", ""),
        ("worker_processes auto;", "worker_processes 1; daemon off; error_log stderr;"),
        ("worker_rlimit_nofile 65536;", ""),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("127.0.0.1:4433", f"127.0.0.1:{inner.port}"),
        ("/etc/ssl/bridge/fullchain.pem", str(chain)),
        ("/etc/ssl/bridge/privkey.pem", str(key)),
    ):
        assert old in content, old
        content = content.replace(old, new)
    content = re.sub(r"^ *(listen \[::\]|server 127\.0\.0\.1:4434).*$", "", content, flags=re.MULTILINE)
    (tmp_path / "nginx.conf").write_text(content)
    words = (tool, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr")
    try:
        async with running(*words, until=port):
            await _talk(replace(inner, port=port))
            assert await _network(server, replace(inner, port=port)) == ""
        listens = f"listen 127.0.0.1:{port} ssl;"
        assert listens in content
        told = f"{listens} set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"
        (tmp_path / "nginx.conf").write_text(content.replace(listens, told))
        async with running(*words, until=port):
            assert await _network(server, replace(inner, port=port)) == "203.0.113.9"
    finally:
        await server.stop()


@in_loop
async def test_caddy_carries_websockets(tmp_path: Path) -> None:
    tool = _tool("caddy")
    server = BridgeServer(Settings(str(tmp_path / "data"), "127.0.0.1", 0, tls=False, proxies=BESIDE))
    inner = await server.start()
    chain, key = _certificate(tmp_path)
    (port,) = _ports(1)
    content = (DEPLOY / "Caddyfile").read_text()
    own = f"\tadmin off\n\tauto_https disable_redirects\n\thttps_port {port}\n"
    content = content.replace("\tservers {", f"{own}\tservers {{", 1)
    content = content.replace("\t# Nothing else", f"\ttls {chain} {key}\n\t# Nothing else", 1)
    (tmp_path / "Caddyfile").write_text(content)
    environment = os.environ | {
        "P2P_BRIDGE_PUBLIC_HOST": "127.0.0.1",
        "UPSTREAMS": f"127.0.0.1:{inner.port}",
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    words = (tool, "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile"))
    try:
        async with running(*words, until=port, env=environment):
            await _talk(replace(inner, port=port), quic=False)
            assert await _network(server, replace(inner, port=port)) == ""
        assert "lb_policy" in content
        (tmp_path / "Caddyfile").write_text(
            content.replace("lb_policy", "trusted_proxies 127.0.0.1/32\n\t\t\tlb_policy")
        )
        async with running(*words, until=port, env=environment):
            assert await _network(server, replace(inner, port=port)) == "203.0.113.9"
    finally:
        await server.stop()


async def _network(server: BridgeServer, address: BridgeAddress) -> str:
    """Where the bridge counts a WebSocket whose client says that it comes from elsewhere: "" is this machine, where it
    does; a proxy that was told to believe its client stands for one that was called from there."""
    async with met(await by_web(address, headers=[("X-Forwarded-For", "203.0.113.9")]), address):
        (visit,) = server.hub.visits
        return visit.network


async def _talk(address: Any, *, quic: bool = True) -> None:
    """Blobs from a WebSocket to a reader; nobody learns the proxy's address, nor sees other paths than the bridge's."""
    queue = Queue("for bob")
    async with (
        met(await (by_quic if quic else by_web)(address), address, "bob") as bob,
        met(await by_web(address), address) as alice,
    ):
        assert isinstance(await bob.create(queue), Done)
        assert isinstance(await bob.read(queue), Done)
        for n in range(20):
            assert isinstance(await alice.put(queue, bytes([n]) * 4_096), Done)
        assert [blob[0] for _, blob in await bob.blobs(queue, 20)] == list(range(20))
        assert alice.welcome.observed == ""  # a proxy's address is nothing to tell
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for path, status in (("/health", 200), ("/p/7Q2MX", 200), ("/metrics", 404), ("/", 404)):
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port, ssl=context)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == str(status).encode(), path
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
