from random import Random

from engines.storage.bloom import FULL, Known


def test_what_was_added_is_known_and_hardly_anything_else_when_the_cache_is_full():
    random = Random(1)
    known = Known()
    added = [random.randbytes(20) for _ in range(200_000)]
    for key in added:
        known.add(key)
    assert all(key in known for key in added[::100])
    others = sum(random.randbytes(20) in known for _ in range(20_000))
    assert 0.01 < others / 20_000 < 0.025


def test_one_that_has_taken_in_too_much_says_so():
    known = Known()
    for number in range(FULL // 1000):
        for key in range(1000):
            known.add(b"%d %d" % (number % 300, key))
    assert not known.full
    random = Random(2)
    while not known.full:
        known.add(random.randbytes(20))
