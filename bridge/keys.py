"""The bridge's one key: in the data directory, 0600 from its first byte, whole or absent."""

from __future__ import annotations

import os
import ssl
import tempfile
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from p2p_agents.errors import Malformed, StoreBroken, StoreReadOnly
from p2p_agents.files import write_whole
from p2p_agents.quic.certificate import SEED_BYTES
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, version

if TYPE_CHECKING:
    from p2p_agents.quic.certificate import NodeCertificate

NAME = "bridge.key"
FILE_BYTES = 256


def seed(directory: str) -> bytes:
    """The 32-byte seed of the bridge in `directory`, drawn on the first call ever. Raises an EnvironmentFault."""
    path = os.path.join(directory, NAME)
    try:
        if not os.path.exists(path):
            write_whole(path, encode([VERSION, os.urandom(SEED_BYTES)]))
        with open(path, "rb") as file:
            fields = array(decode(file.read(FILE_BYTES)), 2, what="key file")
        version(fields[0])
        return blob(fields[1], size=SEED_BYTES, what="seed")
    except Malformed as error:
        raise StoreBroken(f"the key file {path} cannot be used: {error.message}") from error
    except OSError as error:
        raise StoreReadOnly(f"the key file {path} cannot be used: {error.strerror}") from error


def tls_context(directory: str, certificate: NodeCertificate, files: tuple[str, str] | None) -> ssl.SSLContext:
    """For the TCP port: `files`, a certificate's chain and its key in PEM, or the bridge's own. Raises StoreBroken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if files is not None:
            context.load_cert_chain(*files)
            return context
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".tls-") as file:  # 0600; ssl reads nothing but files
            file.write(certificate.tls_certificate.public_bytes(Encoding.PEM))
            file.write(certificate.tls_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            context.load_cert_chain(file.name)
    except OSError as error:  # ssl.SSLError is one
        shown = files[0] if files else directory
        raise StoreBroken(f"cannot get a TLS certificate from {shown}: {error.strerror or error}") from error
    return context
