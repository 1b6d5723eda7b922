from random import Random

from engines.storage.bloom import FULL, BloomFilter


def test_all_added_keys_are_found_with_few_false_positives():
    random = Random(1)
    known = BloomFilter()
    added = [random.randbytes(20) for _ in range(200_000)]
    for key in added:
        known.add(key)
    assert all(key in known for key in added[::100])
    others = sum(random.randbytes(20) in known for _ in range(20_000))
    assert 0.01 < others / 20_000 < 0.025


def test_a_filter_with_too_many_keys_is_full():
    known = BloomFilter()
    for number in range(FULL // 1000):
        for key in range(1000):
            known.add(b"%d %d" % (number % 300, key))
    assert not known.full
    random = Random(2)
    while not known.full:
        known.add(random.randbytes(20))
