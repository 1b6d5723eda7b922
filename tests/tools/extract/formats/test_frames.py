"""Stack frames: where in the project's own code an error was raised."""

import pytest

from tools.extract.formats import frames


@pytest.mark.parametrize(
    ("frame", "place"),
    [
        ("    at boom (/home/u/a.js:3:9)", ("/home/u/a.js", 3)),
        ("    at /home/u/a.js:3:9", ("/home/u/a.js", 3)),
        ("    at async load (file:///home/u/a.mjs:3:9)", ("/home/u/a.mjs", 3)),
        ("    at async file:///C:/shop/a.mjs:3:9", ("C:/shop/a.mjs", 3)),
        ("    at Object.<anonymous> (C:\\shop\\a.test.js:3:9)", ("C:\\shop\\a.test.js", 3)),
        ("    at new Cart (/home/u/my shop/a.js:3:9)", ("/home/u/my shop/a.js", 3)),
        (" ❯ Module.total src/a.ts:3:9", ("src/a.ts", 3)),
        ("    at Module._compile (node:internal/modules/cjs/loader:1554:14)", (None, None)),
        ("    at Promise.then (node_modules/expect/build/index.js:3:9)", (None, None)),
        ("    at JSON.parse (<anonymous>)", (None, None)),
        ("    at async Promise.all (index 0)", (None, None)),
    ],
)
def test_javascript(frame: str, place: tuple[str | None, int | None]) -> None:
    assert frames.javascript([frame]) == place


@pytest.mark.parametrize(
    ("owner", "place"),
    [
        ("com.shop.CartTest", ("CartTest.java", 12)),
        ("CartTest", ("CartTest.java", 12)),
        ("com.shop.OtherTest", ("Cart.java", 33)),
        ("", ("Cart.java", 33)),
    ],
)
def test_java_prefers_the_class_of_the_test_then_its_package(owner: str, place: tuple[str, int]) -> None:
    stack = [
        "\tat org.junit.Assert.fail(Assert.java:88)",
        "\tat app//com.shop.Cart.load(Cart.java:33)",
        "\tat com.shop.CartTest$Inner.lambda$boom$0(CartTest.java:12)",
        "\tat java.base/java.lang.reflect.Method.invoke(Method.java:568)",
    ]
    assert frames.java(stack, owner) == place


def test_a_rust_panic_with_a_windows_path() -> None:
    raised = frames.rust_panic(["thread 'main' (12) panicked at C:\\shop\\main.rs:4:37:", "boom"])
    assert raised == frames.Raised("", ["boom"], "C:\\shop\\main.rs", 4)
