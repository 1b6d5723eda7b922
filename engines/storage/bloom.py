"""Bloom filter over the keys of the shared store, to skip look-ups of missing keys."""

_BITS = 21
_MASK = 2**_BITS - 1

FULL = 400_000
"""Keys after which the filter must be rebuilt."""


class BloomFilter:
    """A Bloom filter of 256 KiB with three bits a key, taken from Python's hash.

    With 200,000 keys, the most the cache keeps, the false positive rate is
    (1 - e^(-3 * 200,000 / 2^21))^3 = 0.016. Keys cannot be removed; rebuild the filter when it is ``full``.
    """

    def __init__(self) -> None:
        self._bits = bytearray(2**_BITS // 8)
        self._keys = 0

    @property
    def full(self) -> bool:
        return self._keys >= FULL

    def add(self, key: bytes) -> None:
        self._keys += key not in self
        for bit in _bit_positions(key):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, key: bytes) -> bool:
        return all(self._bits[bit >> 3] & 1 << (bit & 7) for bit in _bit_positions(key))


def _bit_positions(key: bytes) -> tuple[int, int, int]:
    hashed = hash(key)
    return hashed & _MASK, hashed >> _BITS & _MASK, hashed >> 2 * _BITS & _MASK
