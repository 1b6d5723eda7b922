"""Which keys a shared file may hold, known without the file: what it surely lacks need not be looked up."""

_BITS = 21
_MASK = 2**_BITS - 1

FULL = 400_000
"""Keys; with a million, 44 of a hundred others would be taken for known."""


class Known:
    """A Bloom filter of 256 KiB: never wrong about a key it was told, rarely about another.

    Three bits a key, cut from Python's own hash: with 200,000 keys, the most the cache keeps, one other key
    in sixty is taken for known ((1 - e^(-3 * 200,000 / 2^21))^3 = 0.016) and looked up for nothing. What was
    added cannot be taken out, so a new one is due when it is ``full``: then it is one in twelve.
    """

    def __init__(self) -> None:
        self._bits = bytearray(2**_BITS // 8)
        self._keys = 0

    @property
    def full(self) -> bool:
        return self._keys >= FULL

    def add(self, key: bytes) -> None:
        self._keys += key not in self
        for bit in _places(key):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, key: bytes) -> bool:
        return all(self._bits[bit >> 3] & 1 << (bit & 7) for bit in _places(key))


def _places(key: bytes) -> tuple[int, int, int]:
    hashed = hash(key)
    return hashed & _MASK, hashed >> _BITS & _MASK, hashed >> 2 * _BITS & _MASK
