import logging

import anyio
import pytest

from engines.backends.scripted.engine import EVERYTHING
from engines.base import Capabilities, TextDelta
from engines.errors import (
    EngineBusyError,
    EngineInterruptedError,
    EngineProtocolError,
    EngineTimeoutError,
    EngineUnavailableError,
    ModelNotPulledError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from engines.middleware.failover import CHECK_S, RETRY_S, FailoverEngine
from tests.engines.middleware.fakes import Clock, FlakyEngine, ask

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]

SPEECHLESS = Capabilities(tokenize=True)


async def test_the_first_engine_that_answers_is_asked():
    vllm, ollama = FlakyEngine("vllm", up=False), FlakyEngine("ollama")
    auto = FailoverEngine([vllm, ollama, FlakyEngine("llamacpp")])
    answer = await auto.complete(ask())
    assert answer.done.engine == "ollama"
    assert not vllm.requests
    assert (await auto.profile()).engine == "ollama"
    await auto.check()


async def test_an_engine_that_was_never_up_causes_no_note():
    auto = FailoverEngine([FlakyEngine("vllm", up=False), FlakyEngine("llamacpp")])
    assert (await auto.complete(ask())).done.notes == ()


async def test_when_an_engine_fails_before_its_first_event_the_next_one_answers_with_a_note():
    ollama = FlakyEngine("ollama", ["fine", EngineUnavailableError("connection refused")])
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
    await auto.complete(ask())
    answer = await auto.complete(ask())
    assert answer.text == "hello"
    assert answer.done.engine == "llamacpp"
    assert answer.done.notes == ("ollama did not answer; llamacpp answered",)
    assert (await auto.profile()).notes == answer.done.notes


async def test_an_error_on_the_way_to_the_first_event_moves_too():
    ollama = FlakyEngine("ollama", [[EngineInterruptedError("died while loading")]])
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
    assert (await auto.complete(ask())).done.engine == "llamacpp"
    assert ollama.active == 0


async def test_half_an_answer_is_not_continued_by_another_engine_and_the_next_call_moves():
    ollama = FlakyEngine("ollama", [[TextDelta("half"), EngineInterruptedError("died")]])
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
    async with auto.stream(ask()) as events:
        assert await anext(events) == TextDelta("half")
        with pytest.raises(EngineInterruptedError, match="died"):
            await anext(events)
    assert (await auto.complete(ask())).done.engine == "llamacpp"


@pytest.mark.parametrize("error", [EngineBusyError("full"), EngineTimeoutError("slow")])
async def test_busy_and_slow_engines_are_no_reason_to_move(error: EngineBusyError | EngineTimeoutError):
    llamacpp = FlakyEngine("llamacpp")
    auto = FailoverEngine([FlakyEngine("ollama", [error]), llamacpp])
    with pytest.raises(type(error)):
        await auto.complete(ask())
    assert not llamacpp.requests


async def test_an_engine_that_is_down_is_left_alone_for_a_while_and_then_asked_again():
    clock, ollama = Clock(), FlakyEngine("ollama", up=False)
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")], clock=clock)
    for _ in range(3):
        assert (await auto.complete(ask())).done.engine == "llamacpp"
    assert ollama.checks == 1
    ollama.up = True
    clock.now += RETRY_S
    assert (await auto.complete(ask())).done.engine == "ollama"


async def test_one_request_waits_while_an_engine_that_was_down_is_checked_and_the_others_go_on():
    class SlowToSay(FlakyEngine):
        answered = anyio.Event()

        async def check(self) -> None:
            await super().check()
            await self.answered.wait()

    clock, ollama = Clock(), SlowToSay("ollama", up=False)
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")], clock=clock)
    await auto.complete(ask())
    clock.now += RETRY_S
    ollama.up = True
    answered: list[str] = []

    async def patient() -> None:
        answered.append((await auto.complete(ask())).done.engine)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient)
            await anyio.wait_all_tasks_blocked()
            assert (await auto.complete(ask())).done.engine == "llamacpp"
            ollama.answered.set()
    assert answered == ["ollama"]


async def test_each_change_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture):
    clock, ollama = Clock(), FlakyEngine("ollama")
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")], clock=clock)
    with caplog.at_level(logging.WARNING):
        for up in (True, False, False, True, True):
            ollama.up = up
            await auto.complete(ask())
            clock.now += RETRY_S
    assert [record.getMessage() for record in caplog.records] == [
        "ollama does not answer: nothing listens at ollama",
        "ollama answers again",
    ]


async def test_another_server_at_an_engine_s_address_is_skipped_and_logged_once(
    caplog: pytest.LogCaptureFixture,
):
    class NotOurs(FlakyEngine):
        async def check(self) -> None:
            raise EngineProtocolError("no list of models at this address")

    clock = Clock()
    auto = FailoverEngine([NotOurs("vllm"), FlakyEngine("llamacpp")], clock=clock)
    for _ in range(3):
        assert (await auto.complete(ask())).done.engine == "llamacpp"
        clock.now += RETRY_S
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "vllm does not answer: no list of models at this address")
    ]


async def test_an_engine_that_does_not_even_refuse_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    class Silent(FlakyEngine):
        async def check(self) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr("engines.middleware.failover.CHECK_S", CHECK_S / 100)
    auto = FailoverEngine([Silent("vllm"), FlakyEngine("llamacpp")])
    with anyio.fail_after(5):
        assert (await auto.complete(ask())).done.engine == "llamacpp"


async def test_the_last_engine_is_asked_even_if_its_check_fails_because_it_may_start_on_demand():
    class OnDemand(FlakyEngine):
        async def check(self) -> None:
            raise EngineUnavailableError("not started")

    auto = FailoverEngine([FlakyEngine("ollama", up=False), OnDemand("llamacpp")])
    assert (await auto.complete(ask())).done.engine == "llamacpp"
    with pytest.raises(EngineUnavailableError, match="not started"):
        await auto.check()


async def test_when_no_engine_answers_the_last_engine_s_error_is_raised():
    last = FlakyEngine("llamacpp", [ModelNotPulledError("no weights", hint="models pull")])
    auto = FailoverEngine([FlakyEngine("ollama", up=False), last])
    with pytest.raises(ModelNotPulledError) as error:
        await auto.complete(ask())
    assert error.value.hint == "models pull"


async def test_a_model_is_looked_for_on_every_engine():
    auto = FailoverEngine([FlakyEngine("vllm"), FlakyEngine("ollama"), FlakyEngine("llamacpp")])
    assert (await auto.complete(ask(model="ollama-model"))).done.engine == "ollama"
    assert (await auto.profile("llamacpp-model")).engine == "llamacpp"
    assert await auto.count_tokens("two words", model="ollama-model") == 2
    assert [model.name for model in await auto.models()] == ["vllm-model", "ollama-model", "llamacpp-model"]


async def test_a_model_of_the_settings_is_replaced_when_its_engine_is_gone():
    auto = FailoverEngine([FlakyEngine("ollama", up=False), FlakyEngine("llamacpp")], names=["gpt-oss:20b"])
    done = (await auto.complete(ask(model="gpt-oss:20b"))).done
    assert done.model == "llamacpp-model"
    assert done.notes == ("no engine that answers has gpt-oss:20b, another model answered",)


async def test_a_model_that_answered_before_is_replaced_when_its_engine_is_gone():
    ollama = FlakyEngine("ollama")
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
    await auto.complete(ask(model="ollama-model"))
    ollama.up = False
    assert (await auto.complete(ask(model="ollama-model"))).done.model == "llamacpp-model"


async def test_an_engine_without_its_own_model_is_passed_over_with_a_note():
    ollama = FlakyEngine("ollama", [UnknownModelError("no model 'gpt-oss:20b'", hint="pull it")])
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
    assert (await auto.complete(ask())).done.notes == ("ollama: no model 'gpt-oss:20b'; llamacpp answered",)


async def test_an_unknown_model_stays_an_error():
    auto = FailoverEngine([FlakyEngine("ollama", up=False), FlakyEngine("llamacpp")], names=["gpt-oss:20b"])
    with pytest.raises(UnknownModelError):
        await auto.complete(ask(model="gtp-oss"))


async def test_embedding_is_done_by_the_first_engine_that_can_and_stays_there():
    vllm, ollama = FlakyEngine("vllm", capabilities=SPEECHLESS), FlakyEngine("ollama")
    auto = FailoverEngine([vllm, ollama, FlakyEngine("llamacpp")])
    profile = await auto.profile()
    assert (profile.engine, profile.embedding_model) == ("vllm", "ollama-model-embedding")
    assert profile.capabilities.embed
    assert (await auto.embed(["text"])).model == "ollama-model-embedding"
    ollama.up = False
    assert (await auto.embed(["text"])).model == "llamacpp-model-embedding"
    ollama.up = True
    assert (await auto.embed(["text"])).model == "llamacpp-model-embedding"
    assert (await auto.profile()).embedding_model == "llamacpp-model-embedding"


async def test_without_an_embedding_engine_the_profile_has_no_embed():
    auto = FailoverEngine([FlakyEngine("vllm", capabilities=SPEECHLESS)])
    assert not (await auto.profile()).capabilities.embed
    with pytest.raises(UnsupportedFeatureError):
        await auto.embed(["text"])


async def test_an_engine_that_is_gone_offers_no_models():
    ollama = FlakyEngine("ollama", capabilities=EVERYTHING)
    auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
    await auto.models()
    ollama.up = False
    assert [model.engine for model in await auto.models()] == ["llamacpp"]
