"""Settings: precedence, limits of a project's file, and errors that name file and key."""

from pathlib import Path

import pytest

from mcp_server import folders
from mcp_server.settings import CONFIG_VARIABLE, PROJECT_FILE, SettingsError, read


@pytest.fixture(autouse=True)
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the user's file; the machine's own is not read."""
    file = tmp_path / "config.toml"
    file.write_text("")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def say(root: Path, text: str) -> Path:
    (root / PROJECT_FILE).write_text(text)
    return root


def refused(root: Path | None = None, **flags: object) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        read(root, **flags)
    assert caught.value.hint
    return caught.value


def test_without_any_file_the_defaults_hold() -> None:
    found = read()
    assert found.engine == "auto"
    assert (found.http.host, found.http.port, found.http.token) == ("127.0.0.1", 3160, "")
    assert (found.limits.concurrency, found.vram.total_gib) == (4, 16)
    small, main = found.tiers["small"], found.tiers["main"]
    assert (small.max_tokens, small.context, small.target_ms) == (512, 4096, 500)
    assert (main.max_tokens, main.context, main.target_ms) == (2048, 16384, 2000)


def test_a_flag_wins_over_the_environment_over_the_project_over_the_user(
    user_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = [read(root).limits.queue]
    user_file.write_text("[limits]\nqueue = 1\nconcurrency = 11")
    said.append(read(root).limits.queue)
    say(root, "[limits]\nqueue = 2")
    said.append(read(root).limits.queue)
    monkeypatch.setenv("LOCAL_LLM_LIMITS__QUEUE", "3")
    said.append(read(root).limits.queue)
    said.append(read(root, limits={"queue": 4}).limits.queue)
    assert said == [64, 1, 2, 3, 4]
    assert read(root).limits.concurrency == 11, "what nobody else says stays"


def test_a_part_of_a_tier_leaves_the_rest_of_it_and_the_other_tier(
    user_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_file.write_text(
        '[tiers.small]\nmodel = "qwen"\n[tiers.deep]\nmax_tokens = 9\ncontext = 99\ntarget_ms = 999'
    )
    monkeypatch.setenv("LOCAL_LLM_TIERS__SMALL__CONTEXT", "2048")
    tiers = read().tiers
    assert list(tiers) == ["small", "main", "deep"]
    assert (tiers["small"].model, tiers["small"].max_tokens, tiers["small"].context) == ("qwen", 512, 2048)
    assert tiers["small"].effort == "low"
    assert tiers["main"].context == 16384


def test_the_environment_reaches_every_depth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCAL_LLM_PROJECTS__ERP__PATHS", f'["{tmp_path}"]')
    monkeypatch.setenv("LOCAL_LLM_HTTP__TOKEN", "secret")
    monkeypatch.setenv("LOCAL_LLM_CACHE", "false")
    found = read()
    assert found.projects["erp"].paths == (tmp_path.resolve(),)
    assert (found.http.token, found.cache) == ("secret", False)


def test_folders_of_projects_are_absolute_with_the_home_spelled_out(
    user_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "work")
    user_file.write_text('[projects.erp]\npaths = ["~/work/erp", "~/link"]')
    assert read().projects["erp"].paths == (tmp_path / "work" / "erp", tmp_path / "work")
    for path in ("work/erp", ".", "~nobody-of-that-name/x"):
        user_file.write_text(f'[projects.erp]\npaths = ["{path}"]')
        assert "projects.erp.paths: " in refused().message


# Limits of a project's file


@pytest.mark.parametrize(
    "text",
    [
        '[http]\nhost = "0.0.0.0"',
        '[http]\ntoken = ""',
        '[projects.mine]\npaths = ["/"]',
        "[vram]\ntotal_gib = 1",
        "[ledger]\nenabled = false",
        "surprise = 1",
        "[surprise]\na = 1",
    ],
)
def test_a_projects_file_may_not_widen_what_is_open(text: str, root: Path) -> None:
    error = refused(say(root, text))
    assert (
        f"{PROJECT_FILE} may not set {text.partition('=')[0].strip('[ ').partition(']')[0].partition('.')[0]}"
        in error.message
    )
    assert "config.toml" in error.hint


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("gpu.example.org:8080", "gpu.example.org:8080"),
        ("0.0.0.0:11500", "127.0.0.1:11500"),
        ("", "http://127.0.0.1:11434"),
    ],
)
def test_ollama_is_where_its_own_variable_says(
    host: str, url: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert read(root).ollama.url == url
    assert read(say(root, '[ollama]\nurl = "http://localhost:9"')).ollama.url == "http://localhost:9"


@pytest.mark.parametrize("section", ["ollama", "vllm", "openai"])
@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://127.0.0.1.example.org/v1",
        "http://localhost.example.org",
        "http://127.0.0.1@example.org",
        "http://localhost:1@example.org/",
        "http://example.org#@127.0.0.1",
        "http://example.org?@127.0.0.1",
        "http://192.168.0.1:11434",
        "http://[2001:db8::1]/",
        "http://[::1",
        "http://2130706433/",
        "//example.org",
        "example.org:11434",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_projects_file_may_not_send_text_elsewhere(section: str, url: str, root: Path) -> None:
    error = refused(say(root, f'[{section}]\nurl = "{url}"'))
    assert f"may not set {section}.url to {url}" in error.message
    assert f"{section}.url" in error.hint


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "http://localhost:9", "http://LOCALHOST", "http://[::1]:5/v1"]
)
def test_a_projects_file_may_name_another_port_of_this_machine(url: str, root: Path) -> None:
    assert read(say(root, f'[vllm]\nurl = "{url}"')).vllm.url == url


def test_a_projects_file_may_name_the_server_its_user_names(user_file: Path, root: Path) -> None:
    user_file.write_text('[vllm]\nurl = "http://gpu.example.org/v1"')
    assert read(say(root, '[vllm]\nurl = "http://gpu.example.org/v1"\nmodel = "big"')).vllm.model == "big"
    refused(say(root, '[vllm]\nurl = "http://gpu.example.org/v2"'))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[llamacpp]\nmodel = "weights/evil.gguf"', "llamacpp.model to the file weights/evil.gguf"),
        ('[llamacpp]\nembedding = "/tmp/evil.gguf"', "llamacpp.embedding to the file"),
        ('[llamacpp.adapters]\nerp = "evil.gguf"', "llamacpp.adapters.erp to the file evil.gguf"),
        ('[tiers.small]\nmodel = "~/evil.gguf"', "tiers.small.model to the file"),
        ('engine = "scripted"', "scripted engine"),
        ('[tiers.main]\nengine = "scripted"', "scripted engine"),
    ],
)
def test_a_projects_file_may_not_bring_a_model_along(text: str, named: str, root: Path) -> None:
    error = refused(say(root, text))
    assert f"{PROJECT_FILE} may not " in error.message
    assert named in error.message


def test_a_projects_file_may_name_a_model_by_name_or_the_file_its_user_names(
    user_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCAL_LLM_LLAMACPP__MODEL")
    assert read(say(root, '[llamacpp]\nmodel = "qwen3-4b"')).llamacpp.model == "qwen3-4b"
    assert read(say(root, '[tiers.small]\nmodel = "hf:o/r/f.gguf"')).tiers["small"].model == "hf:o/r/f.gguf"
    user_file.write_text('[llamacpp]\nmodel = "/models/mine.gguf"')
    assert read(say(root, '[llamacpp]\nmodel = "/models/mine.gguf"')).llamacpp.model == "/models/mine.gguf"


def test_a_projects_file_may_tune_the_engines(root: Path) -> None:
    found = read(
        say(
            root, 'engine = "llamacpp"\ncache = false\n[tiers.main]\ncontext = 8192\n[limits]\ndeadline_s = 9'
        )
    )
    assert (found.engine, found.cache, found.tiers["main"].context, found.limits.deadline_s) == (
        "llamacpp",
        False,
        8192,
        9,
    )


# Errors name the source


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[http]\nprot = 1", "config.toml: http.prot: no such setting"),
        ("surprise = 1", "config.toml: surprise: no such setting"),
        ('[http]\nport = "many"', "config.toml: http.port: "),
        ("[http]\nport = 70000", "config.toml: http.port: "),
        ("http = 1", "config.toml: http: "),
        ("[tiers]\nsmall = 3", "config.toml: tiers.small: "),
        ("tiers = 3", "config.toml: tiers: "),
        ("[tiers.deep]\nmax_tokens = 1", "config.toml: tiers.deep.context: Field required"),
        ("[tiers.small]\nmax_tokens = 0", "config.toml: tiers.small.max_tokens: "),
        ('engine = "gpt"', "config.toml: engine: "),
        ('[tiers.small]\nengine = "gpt"', "config.toml: tiers.small.engine: "),
        ("[projects.erp]\npath = []", "config.toml: projects.erp.path: no such setting"),
        ("not toml", "config.toml cannot be read: "),
    ],
)
def test_a_fault_in_the_users_file_is_named_with_file_and_key(text: str, says: str, user_file: Path) -> None:
    user_file.write_text(text)
    assert says in refused().message


def test_faults_of_several_are_named_each_with_its_own(
    user_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_file.write_text("[limits]\nqueue = 0\nconcurrency = 0")
    say(root, "[limits]\nqueue = -1\n[ollama]\nulr = 1")
    monkeypatch.setenv("LOCAL_LLM_HTTP__PROT", "1")
    message = refused(root, vram={"total_gib": -1}).message
    assert f"{user_file}: limits.concurrency: " in message
    assert f"{PROJECT_FILE}: limits.queue: " in message
    assert f"{PROJECT_FILE}: ollama.ulr: no such setting" in message
    assert "LOCAL_LLM_HTTP__PROT: http.prot: no such setting" in message
    assert "command line: vram.total_gib: " in message


@pytest.mark.parametrize(
    "text", ['ollama = "x"', "ollama = 3", "[ollama]\nurl = 3", "vllm = []", "not toml", "[llamacpp]\nx = 1"]
)
def test_a_projects_file_of_the_wrong_shape_is_named(text: str, root: Path) -> None:
    assert PROJECT_FILE in refused(say(root, text)).message


def test_a_file_that_cannot_be_read_is_named(user_file: Path, root: Path) -> None:
    user_file.write_bytes(b"\xff\xfe")
    assert f"{user_file} cannot be read" in refused().message
    user_file.write_text("")
    (root / PROJECT_FILE).mkdir()
    assert f"{root / PROJECT_FILE} cannot be read" in refused(root).message


def test_a_file_named_by_the_environment_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "typo.toml"))
    error = refused()
    assert "typo.toml does not exist" in error.message
    assert CONFIG_VARIABLE in error.hint


def test_one_underscore_too_few_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a token could seem set and not be."""
    monkeypatch.setenv("LOCAL_LLM_HTTP_TOKEN", "secret")
    error = refused()
    assert "LOCAL_LLM_HTTP_TOKEN is not a setting" in error.message
    assert "LOCAL_LLM_HTTP__TOKEN" in error.hint
    assert "secret" not in f"{error.message}{error.hint}"


def test_a_variable_that_is_no_json_where_json_is_meant_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_LLM_PROJECTS", "{")
    assert "projects" in refused().message


def test_the_users_own_place_is_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE)
    monkeypatch.setattr(folders, "user_config_path", tmp_path.joinpath)
    (tmp_path / folders.APP).mkdir()
    (tmp_path / folders.APP / "config.toml").write_text("[limits]\nqueue = 7")
    assert read().limits.queue == 7


def test_secrets_are_not_shown(user_file: Path) -> None:
    user_file.write_text('[http]\ntoken = "s3cret-token"\n[vllm]\napi_key = "s3cret-key"')
    found = read()
    assert (found.http.token, found.vllm.api_key) == ("s3cret-token", "s3cret-key")
    assert "s3cret" not in f"{found!r} {found} {found.http!r} {found.vllm!r}"


def test_a_fault_beside_a_secret_does_not_show_it(user_file: Path) -> None:
    user_file.write_text(
        '[http]\ntoken = ["s3cret-token"]\n[vllm]\napi_key = ["s3cret-key"]\n[openai]\napi_key = "s3cret\\n2"'
    )
    error = refused()
    assert "http.token" in error.message
    assert "s3cret" not in f"{error.message} {error.hint} {error.__cause__!r}"


# Aliases and CORS


def test_aliases_are_read_and_may_stand_for_each_other(user_file: Path) -> None:
    user_file.write_text('[aliases]\ngpt-4o-mini = "main"\n"gpt-4.1" = "gpt-4o-mini"\n"*" = "gpt-4.1"')
    assert read().aliases == {"gpt-4o-mini": "main", "gpt-4.1": "gpt-4o-mini", "*": "gpt-4.1"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('a = "a"', "a -> a is a circle"),
        ('a = "b"\nb = "c"\nc = "a"', "a -> b -> c -> a is a circle"),
        ('z = "a"\na = "b"\nb = "a"', "z -> a -> b -> a is a circle"),
        ('"*" = "a"\na = "*"', "* -> a -> * is a circle"),
        ('a = ""', "at least 1 character"),
        ('gpt-4.1 = "main"', "valid string"),
    ],
)
def test_aliases_that_lead_nowhere_are_refused_at_the_start(table: str, says: str, user_file: Path) -> None:
    user_file.write_text(f"[aliases]\n{table}")
    message = refused().message
    assert f"{user_file}: aliases" in message
    assert says in message


def test_a_projects_file_may_set_neither_aliases_nor_origins(root: Path) -> None:
    for text in ('[aliases]\na = "main"', '[http]\ncors_origins = ["https://app.example"]'):
        assert "may not set" in refused(say(root, text)).message


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "", "app.example", "https://", "https://*", "https://*.app.example", "https://app.example/",
     "https://app.example/path", "https://a.example,https://b.example", "https://user@app.example",
     "https://app.example https://b.example", "https://app.example\n"],
)  # fmt: skip
@pytest.mark.parametrize("token", ["", "secret"])
def test_pages_are_allowed_by_origin_and_never_by_wildcard(origin: str, token: str) -> None:
    assert "name an origin" in refused(http={"cors_origins": [origin], "token": token}).message


def test_an_origin_is_compared_as_browsers_write_it() -> None:
    found = read(http={"cors_origins": ["https://App.Example:8443", "chrome-extension://abcdef"]})
    assert found.http.cors_origins == ("https://app.example:8443", "chrome-extension://abcdef")
