"""The files of transfers, read and written piece by piece. All of it blocks: it is for threads.

What has come of a body lies beside its place, as `PLACE.part`, until it is whole. Nothing is noted of it: a start finds
by the hashes of the pieces what of it holds, after a kill at any moment too (ROOMS K5).
"""

from __future__ import annotations

import hashlib
import os

from p2p_agents.files import sync_directory
from p2p_agents.limits import BULK_PIECE_BYTES, BULK_READ_BYTES, BULK_SYNC_BYTES

OURS = os.O_CLOEXEC | os.O_NOFOLLOW


class BadPiece(Exception):
    """What came is not what was announced. It is not in the file any more."""


class Part:
    """What has come of a body of `size` bytes whose pieces have these SHA-256."""

    def __init__(self, place: str, size: int, pieces: tuple[bytes, ...]) -> None:
        self._place, self._size, self._pieces = place, size, pieces
        self._file = -1
        self._hash = hashlib.sha256()  # of the piece that is under way
        self._synced = 0
        self.offset = 0  # bytes in the file

    def open(self) -> int:
        """How many bytes are there and hold: whole pieces. Raises OSError."""
        self._file = os.open(f"{self._place}.part", os.O_RDWR | os.O_CREAT | OURS, 0o600)
        for piece in self._pieces:
            if _hash_of(self._file, self.offset, self._end()) != piece:
                break
            self.offset = self._end()
        os.ftruncate(self._file, self.offset)
        self._synced = self.offset
        return self.offset

    def write(self, data: bytes) -> None:
        """The next bytes, which are in the body. Raises OSError, BadPiece."""
        rest = memoryview(data)
        while rest:
            count = os.pwrite(self._file, rest[: self._end() - self.offset], self.offset)
            self._hash.update(rest[:count])
            end = self._end()
            self.offset += count
            rest = rest[count:]
            if self.offset == end:
                self._judge()
        if self.offset - self._synced >= BULK_SYNC_BYTES:
            os.fdatasync(self._file)
            self._synced = self.offset

    def keep(self) -> None:
        """It is whole: give it its name, on the disk. Raises OSError."""
        os.fsync(self._file)
        os.rename(f"{self._place}.part", self._place)
        sync_directory(os.path.dirname(self._place))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _end(self) -> int:
        """Of the piece that the next byte is of."""
        return min((self.offset // BULK_PIECE_BYTES + 1) * BULK_PIECE_BYTES, self._size)

    def _judge(self) -> None:
        """A piece is complete."""
        number = (self.offset - 1) // BULK_PIECE_BYTES
        found, self._hash = self._hash.digest(), hashlib.sha256()
        if found != self._pieces[number]:
            self.offset = number * BULK_PIECE_BYTES
            os.ftruncate(self._file, self.offset)
            raise BadPiece


class Source:
    """A body that is given."""

    def __init__(self, place: str, offset: int, size: int) -> None:
        self._place, self._offset, self._size = place, offset, size
        self._file = -1

    def open(self) -> None:
        """Raises OSError, also where the file has another size or is none."""
        self._file = os.open(self._place, os.O_RDONLY | os.O_NONBLOCK | OURS)
        if os.fstat(self._file).st_size != self._size:
            raise OSError("the file has another size")

    def read(self) -> bytes:
        """The next bytes; none at the end. Raises OSError."""
        data = os.pread(self._file, min(BULK_READ_BYTES, self._size - self._offset), self._offset)
        if not data and self._offset < self._size:
            raise OSError("the file became shorter")
        self._offset += len(data)
        return data

    @property
    def at_end(self) -> bool:
        return self._offset == self._size

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _hash_of(file: int, begin: int, end: int) -> bytes:
    found = hashlib.sha256()
    while begin < end and (data := os.pread(file, min(BULK_PIECE_BYTES, end - begin), begin)):
        found.update(data)
        begin += len(data)
    return found.digest()
