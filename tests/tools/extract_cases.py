# The texts keep their lines.
# ruff: noqa: E501
"""Small texts of many kinds, written for these tests, each with what is in it."""

from dataclasses import dataclass, field

from engines.base import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    text: str
    properties: JsonObject
    """Name to JSON Schema of the field, or to a type's name with an optional description after a colon."""
    expected: JsonObject
    instructions: str = ""
    optional: tuple[str, ...] = field(default=())

    @property
    def schema(self) -> JsonObject:
        properties: JsonObject = {key: _schema(value) for key, value in self.properties.items()}
        required: list[JsonValue] = [key for key in properties if key not in self.optional]
        return {"type": "object", "properties": properties, "required": required}


def _schema(said: JsonValue) -> JsonValue:
    """``"string?: what it is"`` is a string or null, described."""
    if isinstance(said, list):
        return {"type": "array", "items": _schema(said[0])}
    if isinstance(said, dict) and "type" not in said and "enum" not in said:
        properties: JsonObject = {key: _schema(value) for key, value in said.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}
    if not isinstance(said, str):
        return said
    kind, _, description = said.partition(": ")
    schema: JsonObject = {"type": [kind[:-1], "null"] if kind.endswith("?") else kind}
    return {**schema, "description": description} if description else schema


CASES = [
    Case(
        "keep a changelog",
        "## [1.4.0-rc.1] - 2023-11-02\n\n### Added\n- Dark mode (#88, thanks @kim)\n\n### Fixed\n- Crash, see GH-91\n",
        {"version": "string", "date": "string?: YYYY-MM-DD", "references": ["integer"]},
        {"version": "1.4.0-rc.1", "date": "2023-11-02", "references": [88, 91]},
    ),
    Case(
        "GNU news",
        "Changes in version 3.12 (released 7 March 2021)\n\n* New option --jobs.\n* Bug 4711 is fixed.\n* Works on 2.6 kernels again.\n",
        {"version": "string", "release_date": "string?: YYYY-MM-DD", "bugs": ["integer"]},
        {"version": "3.12", "release_date": "2021-03-07", "bugs": [4711]},
    ),
    Case(
        "unreleased changes without a date",
        "v2.0.0\n------\n\nWill be tested against the 2019 dumps. Closes !12 and #7.\n",
        {"version": "string", "date": "string?: YYYY-MM-DD", "references": ["integer"]},
        {"version": "2.0.0", "date": None, "references": [12, 7]},
    ),
    Case(
        "jest",
        "PASS src/cart.test.js\nFAIL src/price.test.ts\n  ● price › rounds half up\n\n    TypeError: fmt is not a function\n\n"
        "      12 | test('rounds half up', () => {\n    > 13 |   expect(fmt(1.005)).toBe('1.01');\n\n"
        "      at Object.fmt (src/price.ts:4:18)\n      at Object.<anonymous> (src/price.test.ts:13:10)\n\n"
        "Test Suites: 1 failed, 1 passed, 2 total\nTests:       1 failed, 8 passed, 9 total\nTime:        1.2 s\n",
        {
            "passed": "integer",
            "failed": "integer",
            "failures": [{"test": "string", "error_type": "string", "file": "string", "line": "integer"}],
        },
        {
            "passed": 8,
            "failed": 1,
            "failures": [
                {
                    "test": "price › rounds half up",
                    "error_type": "TypeError",
                    "file": "src/price.ts",
                    "line": 4,
                }
            ],
        },
    ),
    Case(
        "go test",
        "=== RUN   TestParse\n--- PASS: TestParse (0.00s)\n=== RUN   TestWrite\n    store_test.go:41: got 3, want 4\n"
        "--- FAIL: TestWrite (0.02s)\n    store_test.go:44: disk full\nFAIL\nFAIL\texample.com/store\t0.031s\n",
        {
            "passed": "integer",
            "failed": "integer",
            "failures": [{"test": "string", "file": "string", "line": "integer"}],
        },
        {
            "passed": 1,
            "failed": 1,
            "failures": [{"test": "TestWrite", "file": "store_test.go", "line": 44}],
        },
    ),
    Case(
        "cargo test",
        "running 3 tests\ntest lexer::tests::numbers ... ok\ntest lexer::tests::strings ... FAILED\ntest ast::tests::empty ... ok\n\n"
        "failures:\n\n---- lexer::tests::strings stdout ----\nthread 'lexer::tests::strings' panicked at src/lexer.rs:210:9:\n"
        "assertion `left == right` failed\n\nfailures:\n    lexer::tests::strings\n\n"
        "test result: FAILED. 2 passed; 1 failed; 0 ignored; finished in 0.01s\n",
        {
            "passed": "integer",
            "failed": "integer",
            "ignored": "integer",
            "failures": [{"test": "string", "file": "string", "line": "integer"}],
        },
        {
            "passed": 2,
            "failed": 1,
            "ignored": 0,
            "failures": [{"test": "lexer::tests::strings", "file": "src/lexer.rs", "line": 210}],
        },
    ),
    Case(
        "unittest",
        "..F\n======================================================================\nFAIL: test_sum (tests.test_math.TestSum.test_sum)\n"
        "----------------------------------------------------------------------\nTraceback (most recent call last):\n"
        '  File "/src/tests/test_math.py", line 8, in test_sum\n    self.assertEqual(add(1, 2), 4)\nAssertionError: 3 != 4\n\n'
        "----------------------------------------------------------------------\nRan 3 tests in 0.001s\n\nFAILED (failures=1)\n",
        {"failures": [{"test": "string", "error_type": "string", "message": "string", "line": "integer"}]},
        {
            "failures": [
                {
                    "test": "tests.test_math.TestSum.test_sum",
                    "error_type": "AssertionError",
                    "message": "3 != 4",
                    "line": 8,
                }
            ]
        },
    ),
    Case(
        "a traceback",
        'Traceback (most recent call last):\n  File "app/main.py", line 10, in <module>\n    run()\n  File "app/core.py", line 3, in run\n'
        "    raise ConfigError('no such key: port')\napp.errors.ConfigError: no such key: port\n",
        {"error_type": "string", "message": "string", "file": "string", "line": "integer"},
        {"error_type": "ConfigError", "message": "no such key: port", "file": "app/core.py", "line": 3},
    ),
    Case(
        "compiler diagnostics",
        "src/a.c:12:5: error: unknown type name 'u8'\nsrc/a.c:40:1: warning: unused variable 'i'\n2 problems\n",
        {"problems": [{"file": "string", "line": "integer", "severity": {"enum": ["error", "warning"]}}]},
        {
            "problems": [
                {"file": "src/a.c", "line": 12, "severity": "error"},
                {"file": "src/a.c", "line": 40, "severity": "warning"},
            ]
        },
    ),
    Case(
        "a log",
        "2024-05-01 10:00:01,113 INFO  server started on port 8080\n2024-05-01 10:00:07,002 ERROR could not reach db-1\n"
        "2024-05-01 10:00:09,541 ERROR could not reach db-2\n",
        {
            "events": [{"timestamp": "string", "level": "string", "message": "string"}],
            "errors": "integer: number of errors",
        },
        {
            "events": [
                {
                    "timestamp": "2024-05-01 10:00:01,113",
                    "level": "INFO",
                    "message": "server started on port 8080",
                },
                {"timestamp": "2024-05-01 10:00:07,002", "level": "ERROR", "message": "could not reach db-1"},
                {"timestamp": "2024-05-01 10:00:09,541", "level": "ERROR", "message": "could not reach db-2"},
            ],
            "errors": 2,
        },
    ),
    Case(
        "an access log",
        '10.0.0.7 - - [12/Feb/2024:06:25:14 +0000] "GET /api/items?id=4 HTTP/1.1" 404 153\n',
        {"ip": "string", "method": "string", "status": "integer?"},
        {"ip": "10.0.0.7", "method": "GET", "status": None},
    ),
    Case(
        "key=value logs",
        'level=warn ts=2024-01-01T00:00:00Z msg="cache miss" user_id=42 latency_ms=17\n',
        {"level": "string", "msg": "string", "user_id": "integer", "latency_ms": "number"},
        {"level": "warn", "msg": "cache miss", "user_id": 42, "latency_ms": 17},
    ),
    Case(
        "an invoice",
        "Acme Tools GmbH\nInvoice No: INV-2024-0117\nInvoice date: 17/01/2024\nDue date: 16/02/2024\n\n"
        "2 x Hammer    24.00\n1 x Saw       15.50\n\nSubtotal: $39.50\nVAT (20%): $7.90\nTotal: $47.40\n",
        {
            "invoice_number": "string",
            "invoice_date": "string: YYYY-MM-DD",
            "due_date": "string: YYYY-MM-DD",
            "subtotal": "number",
            "total": "number",
            "items": [{"quantity": "integer", "description": "string", "price": "number"}],
        },
        {
            "invoice_number": "INV-2024-0117",
            "invoice_date": "2024-01-17",
            "due_date": "2024-02-16",
            "subtotal": 39.5,
            "total": 47.4,
            "items": [
                {"quantity": 2, "description": "Hammer", "price": 24.0},
                {"quantity": 1, "description": "Saw", "price": 15.5},
            ],
        },
    ),
    Case(
        "a contact block",
        "Dr. Jane Roe\nHead of Research\nPhone: +44 20 7946 0018\nE-mail: jane.roe@example.org\nWeb: https://roe.example.org/about\n",
        {"phone": "string", "email": "string", "website": "string"},
        {
            "phone": "+44 20 7946 0018",
            "email": "jane.roe@example.org",
            "website": "https://roe.example.org/about",
        },
    ),
    Case(
        "several contacts",
        "Name: Ann Lee\nEmail: ann@example.com\nRole: Developer\n\nName: Bo Park\nEmail: bo@example.com\nRole: Designer\n",
        {"people": [{"name": "string", "email": "string", "role": "string"}]},
        {
            "people": [
                {"name": "Ann Lee", "email": "ann@example.com", "role": "Developer"},
                {"name": "Bo Park", "email": "bo@example.com", "role": "Designer"},
            ]
        },
    ),
    Case(
        "an ini file",
        "[server]\nhost = db.internal\nport = 5432\nssl = yes\n\n[client]\nport = 9000\n",
        {
            "server": {"host": "string", "port": "integer", "ssl": {"type": "boolean"}},
            "client": {"port": "integer"},
        },
        {"server": {"host": "db.internal", "port": 5432, "ssl": True}, "client": {"port": 9000}},
    ),
    Case(
        "a yaml file",
        "name: web\nreplicas: 3\nimage: registry.local/web:1.9\ndebug: false\nfeatures:\n  - login\n  - search\n",
        {"name": "string", "replicas": "integer", "debug": {"type": "boolean"}, "features": ["string"]},
        {"name": "web", "replicas": 3, "debug": False, "features": ["login", "search"]},
    ),
    Case(
        "JSON in the text",
        '{"userName": "kim", "maxRetries": 5, "verbose": true, "tags": ["a", "b"]}',
        {"user_name": "string", "max_retries": "integer", "verbose": {"type": "boolean"}, "tags": ["string"]},
        {"user_name": "kim", "max_retries": 5, "verbose": True, "tags": ["a", "b"]},
    ),
    Case(
        "a markdown table",
        "| Package | Version | License |\n|---|---|---|\n| httpx | 0.27.0 | BSD |\n| anyio | 4.4.0 | MIT |\n",
        {"packages": [{"package": "string", "version": "string", "license": "string"}]},
        {
            "packages": [
                {"package": "httpx", "version": "0.27.0", "license": "BSD"},
                {"package": "anyio", "version": "4.4.0", "license": "MIT"},
            ]
        },
    ),
    Case(
        "comma separated values",
        'id,name,amount\n1,"Roe, Jane",10.50\n2,Max,7\n',
        {"rows": [{"id": "integer", "name": "string", "amount": "number"}]},
        {"rows": [{"id": 1, "name": "Roe, Jane", "amount": 10.5}, {"id": 2, "name": "Max", "amount": 7}]},
    ),
    Case(
        "requirements",
        "requests==2.31.0\nanyio>=4.0\n# a comment\nrich~=13.7\n",
        {"dependencies": [{"package": "string", "version": "string"}]},
        {
            "dependencies": [
                {"package": "requests", "version": "2.31.0"},
                {"package": "anyio", "version": "4.0"},
                {"package": "rich", "version": "13.7"},
            ]
        },
    ),
    Case(
        "a mail header",
        "From: Lee <lee@example.com>\nTo: ops@example.com\nDate: Tue, 5 Mar 2024 09:30:00 +0000\nSubject: Disk almost full\n\nHi all, disk sda1 is at 93%.\n",
        {"subject": "string", "date": "string: YYYY-MM-DD", "usage_percent": "number"},
        {"subject": "Disk almost full", "date": "2024-03-05", "usage_percent": 93},
    ),
    Case(
        "a git log entry",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8\nAuthor: Kim Doe <kim@example.com>\nDate:   2024-02-29\n\n    Fix the parser (closes #12)\n",
        {"commit": "string", "author_email": "string", "date": "string: YYYY-MM-DD", "issues": ["integer"]},
        {
            "commit": "9fceb02d0ae598e95dc970b74767f19372d61af8",
            "author_email": "kim@example.com",
            "date": "2024-02-29",
            "issues": [12],
        },
    ),
    Case(
        "a security advisory",
        "CVE-2023-45803 affects urllib3 before 2.0.7. Severity: Medium. Fixed in 2.0.7, published October 17, 2023.",
        {"cve": "string", "severity": {"enum": ["low", "medium", "high"]}, "published": "string: YYYY-MM-DD"},
        {"cve": "CVE-2023-45803", "severity": "medium", "published": "2023-10-17"},
    ),
    Case(
        "links in prose",
        "See https://a.example/x and (https://b.example/y?z=1). Ask help@example.com, or root@example.com.",
        {"links": ["string"], "emails": ["string"]},
        {
            "links": ["https://a.example/x", "https://b.example/y?z=1"],
            "emails": ["help@example.com", "root@example.com"],
        },
    ),
    Case(
        "a build that says how long it took",
        "BUILD FAILED in 2m 14s\n37 actionable tasks: 12 executed, 25 up-to-date\n",
        {"tasks": "integer: actionable tasks", "executed": "integer"},
        {"tasks": 37, "executed": 12},
    ),
    Case(
        "a stack trace of Java",
        'Exception in thread "main" java.lang.IllegalStateException: queue closed\n\tat com.acme.Queue.push(Queue.java:88)\n'
        "\tat com.acme.Main.main(Main.java:12)\n",
        {"exception": "string", "message": "string", "file": "string", "line": "integer"},
        {"exception": "IllegalStateException", "message": "queue closed", "file": "Queue.java", "line": 88},
    ),
    Case(
        "coverage",
        "TOTAL    1204    96    92%\nRequired test coverage of 90% reached. Total coverage: 92.03%\n",
        {"coverage": "number: total coverage in percent"},
        {"coverage": 92.03},
    ),
    Case(
        "nothing of what is asked",
        "The meeting was pleasant and everybody went home early.",
        {"version": "string?", "date": "string?: YYYY-MM-DD", "total": "number?", "emails": ["string"]},
        {"version": None, "date": None, "total": None, "emails": []},
    ),
    Case(
        "a German bill",
        "Rechnung vom 03.04.2022\nBetrag: 1.234,50 EUR\n",
        {"date": "string: YYYY-MM-DD", "amount": "number"},
        {"date": "2022-04-03", "amount": 1234.5},
    ),
    Case(
        "linter output in groups",
        "src/app.js\n  3:10  error  'x' is not defined  no-undef\n  9:1   warning  Unexpected console  no-console\n\n2 problems (1 error, 1 warning)\n",
        {"errors": "integer", "warnings": "integer"},
        {"errors": 1, "warnings": 1},
    ),
    Case(
        "a booking",
        "Flight LH 456 departs on 2024-08-09 at 14:35 from gate B12. Seat: 23A. Price: EUR 199.00",
        {"date": "string: YYYY-MM-DD", "time": "string", "seat": "string", "price": "number"},
        {"date": "2024-08-09", "time": "14:35", "seat": "23A", "price": 199.0},
    ),
]
