"""The access log parser: every line in the Common or Combined Log Format."""

from time import thread_time

import pytest

from tools.extract.formats.access_log import parse

COMMON = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'
COMBINED = (
    '203.0.113.9 - - [12/Mar/2024:06:25:24 +0000] "POST /api/v1/orders?id=7&q=a%20b HTTP/1.1" 404 153 '
    '"https://example.com/cart" "Mozilla/5.0 (X11; Linux x86_64) \\"Gecko\\"/20100101"'
)


def test_the_common_log_format() -> None:
    report = parse(f"{COMMON}\n\n{COMMON}\n")
    assert report is not None
    assert report.format == "access log"
    assert [(record.first, record.last) for record in report.records] == [(1, 1), (3, 3)]
    assert report.records[0].values == {
        "ip": "127.0.0.1",
        "user": "frank",
        "time": "10/Oct/2000:13:55:36 -0700",
        "method": "GET",
        "path": "/apache_pb.gif",
        "protocol": "HTTP/1.0",
        "status": 200,
        "bytes": 2326,
    }


def test_the_combined_log_format() -> None:
    report = parse(COMBINED)
    assert report is not None
    assert report.records[0].values == {
        "ip": "203.0.113.9",
        "time": "12/Mar/2024:06:25:24 +0000",
        "method": "POST",
        "path": "/api/v1/orders?id=7&q=a%20b",
        "protocol": "HTTP/1.1",
        "referrer": "https://example.com/cart",
        "user_agent": 'Mozilla/5.0 (X11; Linux x86_64) \\"Gecko\\"/20100101',
        "status": 404,
        "bytes": 153,
    }


@pytest.mark.parametrize(
    ("line", "ip", "status"),
    [
        ('::1 - - [01/Jan/2024 12:00:00] "GET / HTTP/1.1" 304 -', "::1", 304),
        (
            'shop.example:443 10.0.0.5 - ada [01/Jan/2024:00:00:00 +0100] "GET / HTTP/2.0" 200 5 "-" "-"',
            "10.0.0.5",
            200,
        ),
        (f'{COMBINED} "198.51.100.7, 10.0.0.1" rt=0.003 -', "203.0.113.9", 404),
    ],
    ids=["http.server", "virtual host", "further fields of nginx"],
)
def test_cousins(line: str, ip: str, status: int) -> None:
    report = parse(line)
    assert report is not None
    assert (report.records[0].values["ip"], report.records[0].values["status"]) == (ip, status)


def test_a_dash_is_no_value_and_no_bytes() -> None:
    report = parse('10.0.0.1 - - [01/Jan/2024:00:00:00 +0000] "\\x16\\x03\\x01" 400 - "-" "-"')
    assert report is not None
    assert report.records[0].values == {
        "ip": "10.0.0.1",
        "time": "01/Jan/2024:00:00:00 +0000",
        "status": 400,
        "bytes": 0,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Every request was answered with 200.",
        f"{COMMON}\nAH00558: apache2: Could not determine the server's name\n",
        '2024/03/12 06:25:24 [error] 7#7: *1 open() "/x" failed (2: No such file or directory)',
        'INFO:     127.0.0.1:52210 - "GET / HTTP/1.1" 200 OK',
        COMBINED[:-1],
    ],
    ids=["nothing", "prose", "another line", "error log", "uvicorn", "truncated"],
)
def test_what_is_not_wholly_an_access_log_is_left(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("piece", ["a", '"', "\\", 'x "', "["])
def test_time_grows_linearly(piece: str) -> None:
    def seconds(times: int) -> float:
        start = thread_time()
        parse(f'{COMMON} "-" "-" {piece * times} "')
        parse(f"10.0.0.1 - {piece * times}")
        return thread_time() - start

    assert min(seconds(20_000) for _ in range(3)) < 10 * min(seconds(5_000) for _ in range(3)) + 0.01
