import pytest

from engines.errors import InvalidArgumentsError
from engines.models.shapes import CATALOGUE
from engines.models.vram import GB, GIB, MIB, Layer, ModelShape, amount, plan

GPT_OSS = CATALOGUE["gpt-oss:20b"]
SMALL = ModelShape("small", weights=GIB, layers=(Layer(2, 64, 64),) * 4, vocabulary=1000, embedding=24)


def test_the_reference_case_needs_14_and_a_half_and_half_gigabytes():
    made = plan(GPT_OSS, context=16384, parallel=4, total_gib=16)
    assert made.weights / GB == pytest.approx(14, abs=0.3)
    assert made.kv_cache / GIB == pytest.approx(1.5, abs=0.02)
    assert made.buffer / GB == pytest.approx(0.5, abs=0.03)
    assert made.total == made.weights + made.kv_cache + made.buffer
    assert made.fits


def test_layers_without_a_window_take_what_llama_cpp_logs_for_them():
    """For 131072 tokens of GPT-OSS 20B: 3072.00 MiB in 12 layers; the other 12 have 128 tokens each."""
    made = plan(GPT_OSS, context=131072, parallel=1, total_gib=16)
    assert made.kv_cache == 3072 * MIB + 12 * 8 * 128 * 128 * 2


def test_the_buffer_is_llama_cpps_and_the_cache_beyond_the_windows():
    """Logged: 398.38 MiB to compute in, and 18.00 MiB for windows, 768 tokens instead of 128."""
    made = plan(GPT_OSS, context=131072, parallel=1, total_gib=16)
    assert made.buffer / MIB == pytest.approx(398.38 + 18 * 640 / 768, abs=0.01)


def test_every_request_has_a_cache_of_its_own():
    one, four = (plan(SMALL, context=1000, parallel=n, total_gib=4) for n in (1, 4))
    assert one.kv_cache == 4 * 2 * 128 * 1000 * 2
    assert four.kv_cache == 4 * one.kv_cache
    assert four.buffer == one.buffer


def test_a_window_longer_than_the_context_saves_nothing():
    windowed = ModelShape("w", GIB, (Layer(2, 64, 64, window=4096),) * 4, 1000, 24)
    assert plan(windowed, context=1000, parallel=1, total_gib=4) == plan_like(SMALL, "w")


def plan_like(shape: ModelShape, name: str) -> object:
    return plan(
        ModelShape(name, shape.weights, shape.layers, 1000, 24), context=1000, parallel=1, total_gib=4
    )


def test_the_explanation_carries_the_formula():
    weights, cache, buffer = plan(GPT_OSS, context=16384, parallel=4, total_gib=16).explain
    assert weights == "weights 13.79 GB (12.85 GiB): as stored"
    assert cache == (
        "cache 1.62 GB (1.51 GiB): (12 layers x 8 heads x (64 + 64) x 128 tokens"
        " + 12 layers x 8 heads x (64 + 64) x 16384 tokens) x 4 requests x 2 bytes"
    )
    assert buffer.startswith("buffer 0.48 GB (0.45 GiB): 4 x 512 x (201088 + 2880) bytes to compute in")


@pytest.mark.parametrize(
    "wrong",
    [{"context": 0}, {"parallel": 0}, {"total_gib": 0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, int]):
    with pytest.raises(InvalidArgumentsError):
        plan(SMALL, **{"context": 1000, "parallel": 1, "total_gib": 4, **wrong})


def test_small_amounts_are_shown_in_megabytes():
    assert amount(62_914_560) == "62.9 MB (60.0 MiB)"
