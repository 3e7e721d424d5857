"""The bytes of a stream in any order: kept once, given out in order. Holes take no memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

JOIN_BYTES = 4_096  # a piece no longer than this is copied to the end of the piece before it


class Reassembly:
    """Disjoint pieces beyond `start`, the offset up to which everything was given out.

    A piece costs at most JOIN_BYTES of copying to add, however many there are. Two that touch stay apart only where
    the second is longer than that, so the pieces are few where the holes are.
    """

    __slots__ = ("_offsets", "_pieces", "kept", "start")

    def __init__(self) -> None:
        self.start = 0
        self.kept = 0  # bytes
        self._offsets: list[int] = []
        self._pieces: list[bytearray] = []

    def __len__(self) -> int:
        """Pieces kept."""
        return len(self._pieces)

    def add(self, offset: int, data: bytes) -> bytes:
        """Take `data` at `offset`; returns what is now next in order."""
        if offset <= self.start and not self._pieces:
            new = data[self.start - offset :]
            self.start += len(new)
            return new
        self._keep(offset, offset + len(data), data)
        return self._take()

    def _keep(self, begin: int, end: int, data: bytes) -> None:
        """Add what is not there yet of `data`, which spans `begin` to `end`."""
        offset, begin = begin, max(begin, self.start)
        index = bisect_right(self._offsets, begin)
        if index:
            begin = max(begin, self._end(index - 1))
        stop = bisect_left(self._offsets, end)
        if stop > index and self._end(stop - 1) > end:
            stop -= 1
            end = self._offsets[stop]
        if begin < end:
            self._insert(index, stop, begin, data[begin - offset : end - offset])

    def _insert(self, index: int, stop: int, begin: int, data: bytes) -> None:
        """`data` takes the place of the pieces from `index` to `stop`, which it covers, and joins its neighbours."""
        self.kept += len(data) - sum(map(len, self._pieces[index:stop]))
        if index and self._end(index - 1) == begin:
            index -= 1
            self._pieces[index] += data
            del self._offsets[index + 1 : stop], self._pieces[index + 1 : stop]
        else:
            self._offsets[index:stop], self._pieces[index:stop] = [begin], [bytearray(data)]
        after = index + 1
        touches = after < len(self._pieces) and self._offsets[after] == self._end(index)
        if touches and len(self._pieces[after]) <= JOIN_BYTES:
            self._pieces[index] += self._pieces[after]
            del self._offsets[after], self._pieces[after]

    def _take(self) -> bytes:
        ready = 0
        for offset, piece in zip(self._offsets, self._pieces, strict=True):
            if offset != self.start:
                break
            self.start += len(piece)
            ready += 1
        data = b"".join(self._pieces[:ready])
        self.kept -= len(data)
        del self._offsets[:ready], self._pieces[:ready]
        return data

    def _end(self, index: int) -> int:
        return self._offsets[index] + len(self._pieces[index])
