"""Backups: complete under their passphrase, and nothing otherwise; each failure has an error of its own."""

import dataclasses
import hashlib
import io

import pytest

from p2p_agents.crypto import backup as backups
from p2p_agents.crypto.backup import Backup, Cost, Pin, read, write
from p2p_agents.crypto.identity import add_device, inception, replay
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import (
    BackupDamaged,
    BackupPassphrase,
    BackupTruncated,
    BackupVersion,
    BadIdentity,
    Malformed,
    P2PError,
)
from p2p_agents.limits import BACKUP_CHUNK_BYTES, BACKUP_KDF_KIB, BACKUP_KDF_MAX_KIB
from p2p_agents.wire.cbor import decode, encode
from tests.crypto.ends import START_MS

CHEAP = Cost(kib=8, passes=1, lanes=1)
SALT = bytes(range(16))


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


ROOT, NEXT, DEVICE = map(key, ("root", "next", "device"))
ME = replay([inception(ROOT, NEXT.public, START_MS)])
ME = replay([*ME.entries, add_device(ME, ROOT, DEVICE, "laptop")])
THEIRS = inception(key("bob"), NEXT.public, START_MS)
FRIEND = Pin(hashlib.sha256(THEIRS).digest(), "bob", "codex", "robert", "verified", "", False, (THEIRS,))
BACKUP = Backup("alice", "human", "ask", True, ME, ROOT.seed, NEXT.seed, (FRIEND,), START_MS)
LOG = [b"first chunk", b"second chunk"]


def file(backup: Backup = BACKUP, log=LOG, passphrase: str = "correct horse", cost: Cost = CHEAP) -> bytes:
    return b"".join(write(backup, log, passphrase, SALT, cost))


def taken(data: bytes, passphrase: str = "correct horse") -> tuple[Backup, list[bytes]]:
    """All there is in a file, to its end."""
    backup, log = read(io.BytesIO(data).read, passphrase)
    return backup, list(log)


WHOLE = file()


def test_what_is_kept_comes_back():
    assert taken(WHOLE) == (BACKUP, LOG)


@pytest.mark.parametrize(
    ("backup", "log"),
    [
        (dataclasses.replace(BACKUP, contacts=()), []),
        (dataclasses.replace(BACKUP, next_root=b""), LOG),
        (dataclasses.replace(BACKUP, contacts=(FRIEND,) * 300), [b"x" * BACKUP_CHUNK_BYTES]),
    ],
    ids=["least", "next root elsewhere", "large"],
)
def test_small_and_large(backup, log):
    assert taken(file(backup, log)) == (backup, log)


def test_a_source_may_give_little_at_a_time():
    source = io.BytesIO(WHOLE)
    backup, log = read(lambda count: source.read(min(count, 7)), "correct horse")
    assert (backup, list(log)) == (BACKUP, LOG)


@pytest.mark.parametrize("wrong", ["", "correct hors", "Correct horse", "correct horse "])
def test_a_wrong_passphrase(wrong):
    with pytest.raises(BackupPassphrase):
        taken(WHOLE, wrong)


def test_a_passphrase_is_the_same_however_it_was_typed():
    assert taken(file(passphrase="caf\u00e9"), "cafe\u0301") == (BACKUP, LOG)


def test_a_flipped_byte_anywhere():
    lengths = _length_bytes(WHOLE)
    for at in range(len(WHOLE)):
        damaged = bytearray(WHOLE)
        damaged[at] ^= 1
        with pytest.raises(P2PError) as caught:
            taken(bytes(damaged))
        assert type(caught.value) is BackupDamaged or (at in lengths and type(caught.value) is BackupTruncated), at


def _length_bytes(data: bytes) -> set[int]:
    """Where the lengths stand."""
    found, at = set(), 0
    while at < len(data):
        found |= set(range(at, at + 4))
        at += 4 + int.from_bytes(data[at : at + 4], "big") + (0 if len(found) > 4 else 64)
    return found


def test_a_truncated_file_at_any_byte():
    for size in range(len(WHOLE)):
        with pytest.raises(BackupTruncated):
            taken(WHOLE[:size])


def test_a_file_cut_between_pieces_is_not_taken_for_whole():
    backup, log = read(io.BytesIO(WHOLE[: -4 - 17]).read, "correct horse")
    assert backup == BACKUP
    assert next(log) == LOG[0]
    assert next(log) == LOG[1]
    with pytest.raises(BackupTruncated):
        next(log)


def test_more_behind_the_end_is_refused():
    with pytest.raises(BackupDamaged, match="after its end"):
        taken(WHOLE + b"x")


def test_pieces_of_another_backup_do_not_fit():
    start = 4 + int.from_bytes(WHOLE[:4], "big") + 64
    with pytest.raises(BackupDamaged):
        taken(WHOLE[:start] + file()[start:])


def test_pieces_have_their_order(monkeypatch):
    monkeypatch.setattr(backups, "_CONTACT", b"l")
    monkeypatch.setattr(backups, "_LOG", b"c")
    swapped = file()
    monkeypatch.undo()
    with pytest.raises(BackupDamaged, match="order"):
        taken(swapped)


def header(**changed) -> bytes:
    """WHOLE under another header, whose digest is right."""
    size = int.from_bytes(WHOLE[:4], "big")
    names = ("version", "magic", "kib", "passes", "lanes", "salt", "nonce")
    fields = dict(zip(names, decode(WHOLE[4 : 4 + size]), strict=True)) | changed
    new, check = encode(list(fields.values())), WHOLE[4 + size : 36 + size]
    digest = hashlib.sha256(new + check).digest()
    return len(new).to_bytes(4, "big") + new + check + digest + WHOLE[68 + size :]


def test_another_version():
    assert taken(header()) == (BACKUP, LOG)
    for version in (0, 2, 99):
        with pytest.raises(BackupVersion):
            taken(header(version=version))


@pytest.mark.parametrize(
    "changed",
    [
        *({"kib": BACKUP_KDF_MAX_KIB + 1}, {"passes": 17}, {"lanes": 5}, {"kib": 7}, {"passes": 0}, {"lanes": 0}),
        *({"salt": b""}, {"nonce": bytes(23)}, {"magic": "age"}, {"kib": "8"}),
    ],
)
def test_a_header_asks_for_no_more_than_the_most(changed):
    with pytest.raises(BackupDamaged):
        taken(header(**changed))


def test_a_header_changed_within_bounds_opens_nothing():
    with pytest.raises(BackupPassphrase):
        taken(header(passes=2))


@pytest.mark.parametrize("data", [b"", b"x", b"not a backup, but longer than any header could be" * 20, bytes(500)])
def test_another_file_is_no_backup(data):
    with pytest.raises((BackupDamaged, BackupTruncated)):
        taken(data)


def test_keys_that_do_not_fit_the_log_are_no_backup():
    for wrong in ({"root": NEXT.seed}, {"next_root": ROOT.seed}):
        with pytest.raises(BadIdentity):
            dataclasses.replace(BACKUP, **wrong)


def test_a_log_chunk_is_bounded():
    with pytest.raises(Malformed):
        file(log=[b"x" * (BACKUP_CHUNK_BYTES + 1)])


def test_by_default_a_guess_costs_a_quarter_of_a_gigabyte():
    assert Cost() == Cost(BACKUP_KDF_KIB, 3, 4) == Cost(256 * 1024, 3, 4)


def test_no_device_key_and_no_secret_in_the_open():
    assert ROOT.seed not in WHOLE
    assert ME.agent not in WHOLE
    assert DEVICE.seed.hex() not in repr(BACKUP) + repr(vars(type(BACKUP)))
    assert ROOT.seed.hex() not in repr(BACKUP)
    assert {f.name for f in dataclasses.fields(Backup)}.isdisjoint({"device", "devices", "sessions", "prekeys"})


def test_two_backups_of_one_agent_share_no_key_stream():
    one, two = file(), file()
    assert one[-60:] != two[-60:]
