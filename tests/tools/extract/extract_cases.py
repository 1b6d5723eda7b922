# The texts keep their lines.
# ruff: noqa: E501
"""Small texts of many kinds, written for these tests, with their expected values."""

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
    """Parses ``"string?: what it is"`` as a described string or null."""
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
        "a changelog that begins with what is not released",
        "# Changelog\n\n## Unreleased\n\n- Draft of coupons.\n\n## 2.4.1 - 2026-11-12\n\n### Fixed\n"
        "- Checkout no longer fails when a basket has an item without SKU (#412, thanks to Ana Ruiz).\n\n"
        "## 2.4.0 - 2026-10-02\n\n### Added\n- Export of orders as CSV.\n### Removed\n- Python 3.9.\n\n"
        "## 2.3.0 - 2026-06-30\n\n- First release with PostgreSQL 16.\n",
        {"version": "string?: the newest release", "date": "string?: its date, YYYY-MM-DD"},
        {"version": "2.4.1", "date": "2026-11-12"},
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
        {"ip": "10.0.0.7", "method": "GET", "status": 404},
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
    Case(
        "mypy",
        "src/a.py:10: error: Incompatible types in assignment  [assignment]\nsrc/b.py:3: note: See docs\nsrc/b.py:4: error: Name 'x' is not defined  [name-defined]\nFound 2 errors in 2 files (checked 8 source files)\n",
        {
            "errors": "integer",
            "files_checked": "integer",
            "problems": [{"file": "string", "line": "integer", "message": "string"}],
        },
        {
            "errors": 2,
            "files_checked": 8,
            "problems": [
                {"file": "src/a.py", "line": 10, "message": "Incompatible types in assignment  [assignment]"},
                {"file": "src/b.py", "line": 3, "message": "See docs"},
                {"file": "src/b.py", "line": 4, "message": "Name 'x' is not defined  [name-defined]"},
            ],
        },
    ),
    Case(
        "tsc",
        "src/index.ts(5,12): error TS2322: Type 'string' is not assignable to type 'number'.\nsrc/util.ts(9,1): error TS2304: Cannot find name 'foo'.\n",
        {"errors": [{"file": "string", "line": "integer", "code": "string"}]},
        {
            "errors": [
                {"file": "src/index.ts", "line": 5, "code": "TS2322"},
                {"file": "src/util.ts", "line": 9, "code": "TS2304"},
            ]
        },
    ),
    Case(
        "docker ps",
        "CONTAINER ID   IMAGE          STATUS        PORTS                    NAMES\n3f4e1c2a9b0d   nginx:1.25     Up 2 hours    0.0.0.0:80->80/tcp       web\n9a8b7c6d5e4f   redis:7        Up 3 days     6379/tcp                 cache\n",
        {
            "containers": [
                {"container_id": "string", "image": "string", "status": "string", "names": "string"}
            ]
        },
        {
            "containers": [
                {
                    "container_id": "3f4e1c2a9b0d",
                    "image": "nginx:1.25",
                    "status": "Up 2 hours",
                    "names": "web",
                },
                {"container_id": "9a8b7c6d5e4f", "image": "redis:7", "status": "Up 3 days", "names": "cache"},
            ]
        },
    ),
    Case(
        "kubectl",
        "NAME                    READY   STATUS             RESTARTS   AGE\nweb-7d4b9c-abcde        1/1     Running            0          2d\nworker-5f6d-xyz         0/1     CrashLoopBackOff   17         5h\n",
        {"pods": [{"name": "string", "status": "string", "restarts": "integer"}]},
        {
            "pods": [
                {"name": "web-7d4b9c-abcde", "status": "Running", "restarts": 0},
                {"name": "worker-5f6d-xyz", "status": "CrashLoopBackOff", "restarts": 17},
            ]
        },
    ),
    Case(
        "env file",
        "DATABASE_URL=postgres://db:5432/app\nDEBUG=false\nMAX_CONNECTIONS=20\n# comment\nLOG_LEVEL=warning\n",
        {
            "database_url": "string",
            "debug": {"type": "boolean"},
            "max_connections": "integer",
            "log_level": "string",
        },
        {
            "database_url": "postgres://db:5432/app",
            "debug": False,
            "max_connections": 20,
            "log_level": "warning",
        },
    ),
    Case(
        "pyproject",
        '[project]\nname = "demo"\nversion = "0.3.1"\nrequires-python = ">=3.10"\ndependencies = ["httpx>=0.27", "anyio"]\n\n[project.scripts]\ndemo = "demo.cli:main"\n',
        {"name": "string", "version": "string", "requires_python": "string", "dependencies": ["string"]},
        {
            "name": "demo",
            "version": "0.3.1",
            "requires_python": ">=3.10",
            "dependencies": ["httpx>=0.27", "anyio"],
        },
    ),
    Case(
        "package.json",
        '{\n  "name": "left-pad",\n  "version": "1.3.0",\n  "license": "WTFPL",\n  "repository": {"url": "https://github.com/x/left-pad"},\n  "keywords": ["pad", "string"]\n}\n',
        {
            "name": "string",
            "version": "string",
            "license": "string",
            "keywords": ["string"],
            "repository": {"url": "string"},
        },
        {
            "name": "left-pad",
            "version": "1.3.0",
            "license": "WTFPL",
            "keywords": ["pad", "string"],
            "repository": {"url": "https://github.com/x/left-pad"},
        },
    ),
    Case(
        "gtest",
        "[ RUN      ] MathTest.Adds\n[       OK ] MathTest.Adds (0 ms)\n[ RUN      ] MathTest.Divides\nmath_test.cc:27: Failure\nExpected equality of these values:\n[  FAILED  ] MathTest.Divides (1 ms)\n[  PASSED  ] 1 test.\n[  FAILED  ] 1 test, listed below:\n[  FAILED  ] MathTest.Divides\n",
        {
            "passed": "integer",
            "failed": "integer",
            "failures": [{"test": "string", "file": "string", "line": "integer"}],
        },
        {
            "passed": 1,
            "failed": 1,
            "failures": [{"test": "MathTest.Divides", "file": "math_test.cc", "line": 27}],
        },
    ),
    Case(
        "maven",
        "[INFO] Running com.acme.CartTest\n[ERROR] Tests run: 5, Failures: 1, Errors: 0, Skipped: 1, Time elapsed: 0.12 s <<< FAILURE! - in com.acme.CartTest\n[ERROR] addsUp(com.acme.CartTest)  Time elapsed: 0.01 s  <<< FAILURE!\njava.lang.AssertionError: expected:<3> but was:<4>\n\tat org.junit.Assert.fail(Assert.java:88)\n\tat com.acme.CartTest.addsUp(CartTest.java:31)\n\n[INFO] Results:\n",
        {
            "failures": "integer",
            "errors": "integer",
            "skipped": "integer",
            "failed_tests": [{"test": "string", "error_type": "string", "line": "integer"}],
        },
        {
            "failures": 1,
            "errors": 0,
            "skipped": 1,
            "failed_tests": [
                {"test": "addsUp(com.acme.CartTest)", "error_type": "AssertionError", "line": 31}
            ],
        },
    ),
    Case(
        "rspec",
        "Failures:\n\n  1) Cart adds items\n     Failure/Error: expect(cart.total).to eq(3)\n\n       expected: 3\n            got: 4\n     # ./spec/cart_spec.rb:12:in `block (2 levels)'\n\nFinished in 0.02 seconds\n7 examples, 1 failure, 2 pending\n",
        {
            "examples": "integer",
            "failed": "integer",
            "pending": "integer",
            "failures": [{"test": "string", "file": "string", "line": "integer"}],
        },
        {
            "examples": 7,
            "failed": 1,
            "pending": 2,
            "failures": [{"test": "Cart adds items", "file": "./spec/cart_spec.rb", "line": 12}],
        },
    ),
    Case(
        "TAP",
        "1..3\nok 1 - parses\nnot ok 2 - writes\nok 3 - closes\n# tests 3\n# pass 2\n# fail 1\n",
        {"passed": "integer", "failed": "integer", "failures": [{"test": "string"}]},
        {"passed": 2, "failed": 1, "failures": [{"test": "writes"}]},
    ),
    Case(
        "receipt",
        "CORNER MARKET\n12 Hill Rd, Leeds LS1 4AB\nTel 0113 496 0000\n03/11/2023 14:22\n\nMILK 2L          1.85\nBREAD            1.20\nAPPLES 1KG       2.49\n\nTOTAL            5.54\nCASH            10.00\nCHANGE           4.46\n",
        {"date": "string", "total": "number", "phone": "string", "postcode": "string", "change": "number"},
        {
            "date": "03/11/2023",
            "total": 5.54,
            "phone": "0113 496 0000",
            "postcode": "LS1 4AB",
            "change": 4.46,
        },
    ),
    Case(
        "job posting",
        "Senior Data Engineer\nCompany: Nimbus GmbH\nLocation: Munich\nSalary: EUR 75,000 - 90,000\nApply by 15 March 2024 at jobs@nimbus.example\n",
        {
            "company": "string",
            "location": "string",
            "apply_by": "string?: date, YYYY-MM-DD",
            "email": "string",
        },
        {
            "company": "Nimbus GmbH",
            "location": "Munich",
            "apply_by": "2024-03-15",
            "email": "jobs@nimbus.example",
        },
    ),
    Case(
        "calendar",
        "Subject: Sprint review\nWhen: Friday, June 7, 2024 3:00 PM - 4:00 PM\nWhere: Room 4.12\nOrganizer: Dana Scott\n",
        {"subject": "string", "date": "string: YYYY-MM-DD", "location": "string", "organizer": "string"},
        {
            "subject": "Sprint review",
            "date": "2024-06-07",
            "location": "Room 4.12",
            "organizer": "Dana Scott",
        },
    ),
    Case(
        "http response",
        "HTTP/1.1 503 Service Unavailable\nServer: nginx/1.25.3\nContent-Type: text/html; charset=utf-8\nContent-Length: 190\nRetry-After: 120\n",
        {
            "status_code": "integer",
            "content_type": "string",
            "content_length": "integer",
            "retry_after": "integer",
        },
        {
            "status_code": 503,
            "content_type": "text/html; charset=utf-8",
            "content_length": 190,
            "retry_after": 120,
        },
    ),
    Case(
        "bibtex",
        "@article{knuth1984,\n  author = {Donald E. Knuth},\n  title = {Literate Programming},\n  journal = {The Computer Journal},\n  year = {1984},\n  volume = {27},\n  pages = {97--111}\n}\n",
        {"author": "string", "title": "string", "year": "integer", "volume": "integer"},
        {"author": "Donald E. Knuth", "title": "Literate Programming", "year": 1984, "volume": 27},
    ),
    Case(
        "nginx",
        "server {\n    listen 443 ssl;\n    server_name shop.example.com;\n    root /var/www/shop;\n    client_max_body_size 10m;\n}\n",
        {"server_name": "string", "root": "string"},
        {"server_name": "shop.example.com", "root": "/var/www/shop"},
    ),
    Case(
        "df",
        "Filesystem      Size  Used Avail Use% Mounted on\n/dev/sda1        50G   41G  6.5G  87% /\ntmpfs           7.8G     0  7.8G   0% /dev/shm\n",
        {"filesystems": [{"filesystem": "string", "size": "string", "used": "string"}]},
        {
            "filesystems": [
                {"filesystem": "/dev/sda1", "size": "50G", "used": "41G"},
                {"filesystem": "tmpfs", "size": "7.8G", "used": "0"},
            ]
        },
    ),
    Case(
        "go panic",
        "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:14 +0x1d\nexit status 2\n",
        {"message": "string", "file": "string", "line": "integer"},
        {
            "message": "runtime error: index out of range [5] with length 3",
            "file": "/app/main.go",
            "line": 14,
        },
    ),
    Case(
        "node error",
        "/srv/app/index.js:7\n    throw new RangeError('bad size');\n    ^\n\nRangeError: bad size\n    at load (/srv/app/lib/load.js:22:11)\n    at Object.<anonymous> (/srv/app/index.js:7:3)\n    at node:internal/main:23:47\n",
        {"error_type": "string", "message": "string", "file": "string", "line": "integer"},
        {"error_type": "RangeError", "message": "bad size", "file": "/srv/app/lib/load.js", "line": 22},
    ),
    Case(
        "syslog",
        "Nov  3 04:12:09 host1 sshd[2211]: Failed password for root from 203.0.113.9 port 52211 ssh2\nNov  3 04:12:15 host1 sshd[2213]: Failed password for admin from 203.0.113.10 port 52214 ssh2\n",
        {"ips": ["string"], "attempts": [{"ip": "string", "port": "integer"}]},
        {
            "ips": ["203.0.113.9", "203.0.113.10"],
            "attempts": [{"ip": "203.0.113.9", "port": 52211}, {"ip": "203.0.113.10", "port": 52214}],
        },
    ),
    Case(
        "release list",
        "- 2.1.0 (2024-02-01): adds plugins\n- 2.0.3 (2023-12-11): fixes a crash\n- 2.0.2 (2023-11-30): first public version\n",
        {"releases": [{"version": "string", "date": "string: YYYY-MM-DD", "summary": "string"}]},
        {
            "releases": [
                {"version": "2.1.0", "date": "2024-02-01", "summary": "adds plugins"},
                {"version": "2.0.3", "date": "2023-12-11", "summary": "fixes a crash"},
                {"version": "2.0.2", "date": "2023-11-30", "summary": "first public version"},
            ]
        },
    ),
    Case(
        "todo list",
        "TODO(ann): remove the old flag by 2024-09-01\nTODO(bo): write docs\n",
        {"count": "integer: number of TODOs"},
        {"count": 2},
    ),
    Case(
        "order mail",
        "Hello,\n\nyour order #A-10293 has shipped on May 2nd, 2024 with DHL. Tracking number: 00340434161094042557.\nTotal: $1,249.99 (incl. shipping).\n\nQuestions? Call +1 (555) 010-9999.\n",
        {
            "order_number": "string",
            "shipped_date": "string: YYYY-MM-DD",
            "tracking_number": "string",
            "total": "number",
            "phone": "string",
        },
        {
            "order_number": "A-10293",
            "shipped_date": "2024-05-02",
            "tracking_number": "00340434161094042557",
            "total": 1249.99,
            "phone": "+1 (555) 010-9999",
        },
    ),
    Case(
        "weather report",
        "Station: LOWI\nTemperature: -4.5 °C\nWind: 12 km/h\nHumidity: 81%\n",
        {"temperature": "number", "wind": "number", "humidity": "number"},
        {"temperature": -4.5, "wind": 12, "humidity": 81},
    ),
    Case(
        "changelog rst",
        "1.9.2 (unreleased)\n------------------\n\n- Nothing changed yet.\n\n1.9.1 (2022-01-31)\n------------------\n\n- Fix ``foo``. [#14]\n",
        {"latest_version": "string", "releases": [{"version": "string", "date": "string?: YYYY-MM-DD"}]},
        {
            "latest_version": "1.9.2",
            "releases": [{"version": "1.9.2", "date": None}, {"version": "1.9.1", "date": "2022-01-31"}],
        },
    ),
    Case(
        "helm values",
        "image:\n  repository: ghcr.io/acme/api\n  tag: 2.4.1\nreplicaCount: 2\nresources:\n  limits:\n    memory: 512Mi\n",
        {"repository": "string", "tag": "string", "replica_count": "integer", "memory": "string"},
        {"repository": "ghcr.io/acme/api", "tag": "2.4.1", "replica_count": 2, "memory": "512Mi"},
    ),
    Case(
        "dockerfile",
        'FROM python:3.11-slim\nWORKDIR /app\nEXPOSE 8000\nCMD ["uvicorn", "app:app"]\n',
        {"base_image": "string?", "port": "integer?"},
        {"base_image": None, "port": None},
    ),
    Case(
        "vitest",
        " FAIL  src/sum.test.ts > sum > adds negative numbers\nAssertionError: expected 3 to be 4\n ❯ src/sum.test.ts:9:22\n\n Test Files  1 failed | 2 passed (3)\n      Tests  1 failed | 11 passed (12)\n",
        {
            "failed": "integer",
            "passed": "integer",
            "failures": [{"test": "string", "error_type": "string", "file": "string", "line": "integer"}],
        },
        {
            "failed": 1,
            "passed": 11,
            "failures": [
                {
                    "test": "src/sum.test.ts > sum > adds negative numbers",
                    "error_type": "AssertionError",
                    "file": "src/sum.test.ts",
                    "line": 9,
                }
            ],
        },
    ),
    Case(
        "mocha",
        "  Array\n    ✓ has length\n    1) finds index\n\n  1 passing (8ms)\n  1 failing\n\n  1) Array\n       finds index:\n\n      AssertionError [ERR_ASSERTION]: -1 == 0\n      at Context.<anonymous> (test/array.js:11:14)\n",
        {
            "passing": "integer",
            "failing": "integer",
            "failures": [{"error_type": "string", "file": "string", "line": "integer"}],
        },
        {
            "passing": 1,
            "failing": 1,
            "failures": [{"error_type": "AssertionError", "file": "test/array.js", "line": 11}],
        },
    ),
    Case(
        "apache error",
        "[Wed Oct 11 14:32:52 2023] [error] [client 127.0.0.1] client denied by server configuration: /export/home/live/ap/htdocs/test\n",
        {"level": "string", "client_ip": "string", "path": "string"},
        {"level": "error", "client_ip": "127.0.0.1", "path": "/export/home/live/ap/htdocs/test"},
    ),
    Case(
        "postgres",
        '2024-03-02 11:04:55.102 UTC [4411] ERROR:  duplicate key value violates unique constraint "users_pkey"\n2024-03-02 11:04:55.102 UTC [4411] DETAIL:  Key (id)=(7) already exists.\n',
        {"level": "string", "message": "string", "timestamp": "string"},
        {
            "level": "ERROR",
            "message": 'duplicate key value violates unique constraint "users_pkey"',
            "timestamp": "2024-03-02 11:04:55.102 UTC",
        },
    ),
    Case(
        "npm audit",
        "found 7 vulnerabilities (2 low, 4 moderate, 1 high) in 812 scanned packages\n  run `npm audit fix` to fix 5 of them.\n",
        {
            "vulnerabilities": "integer",
            "low": "integer",
            "moderate": "integer",
            "high": "integer",
            "scanned_packages": "integer",
        },
        {"vulnerabilities": 7, "low": 2, "moderate": 4, "high": 1, "scanned_packages": 812},
    ),
    Case(
        "coverage table",
        "Name                 Stmts   Miss  Cover\n----------------------------------------\nsrc/a.py                80      8    90%\nsrc/b.py                20     10    50%\n----------------------------------------\nTOTAL                  100     18    82%\n",
        {"files": [{"name": "string", "stmts": "integer", "miss": "integer", "cover": "number"}]},
        {
            "files": [
                {"name": "src/a.py", "stmts": 80, "miss": 8, "cover": 90},
                {"name": "src/b.py", "stmts": 20, "miss": 10, "cover": 50},
                {"name": "TOTAL", "stmts": 100, "miss": 18, "cover": 82},
            ]
        },
    ),
    Case(
        "business card",
        "ACME CORP.\nJohn A. Doe, CTO\n221B Baker Street, London NW1 6XE\nt: +44 (0)20 7224 3688 | m: +44 7700 900123\njohn@acme.example | www.acme.example\n",
        {"email": "string", "website": "string", "postcode": "string"},
        {"email": "john@acme.example", "website": "www.acme.example", "postcode": "NW1 6XE"},
    ),
    Case(
        "git diffstat",
        " src/a.py | 12 ++++++------\n src/b.py |  3 +++\n 2 files changed, 9 insertions(+), 6 deletions(-)\n",
        {"files_changed": "integer", "insertions": "integer", "deletions": "integer", "files": ["string"]},
        {"files_changed": 2, "insertions": 9, "deletions": 6, "files": ["src/a.py", "src/b.py"]},
    ),
    Case(
        "conventional changelog",
        "# [2.3.0](https://github.com/a/b/compare/v2.2.1...v2.3.0) (2021-06-14)\n\n### Features\n\n* **core:** add hooks ([#210](https://github.com/a/b/issues/210)) ([9fceb02](https://github.com/a/b/commit/9fceb02))\n",
        {"version": "string", "date": "string: YYYY-MM-DD", "references": ["integer"]},
        {"version": "2.3.0", "date": "2021-06-14", "references": [210]},
    ),
    Case(
        "debian changelog",
        "htop (3.2.2-2) unstable; urgency=medium\n\n  * Fix build on hurd (Closes: #1029567).\n\n -- Daniel Lange <DLange@debian.org>  Sat, 28 Jan 2023 11:01:58 +0100\n",
        {
            "package": "string?",
            "version": "string",
            "urgency": "string",
            "date": "string: YYYY-MM-DD",
            "bugs": ["integer"],
            "email": "string",
        },
        {
            "package": None,
            "version": "3.2.2-2",
            "urgency": "medium",
            "date": "2023-01-28",
            "bugs": [1029567],
            "email": "DLange@debian.org",
        },
    ),
    Case(
        "meeting minutes",
        "Date: 4 April 2024\nAttendees: Ann, Bo, Cy\nNext meeting: 11 April 2024\nDecision: ship on Friday\n",
        {
            "date": "string: YYYY-MM-DD",
            "attendees": ["string"],
            "next_meeting": "string: date, YYYY-MM-DD",
            "decision": "string",
        },
        {
            "date": "2024-04-04",
            "attendees": ["Ann", "Bo", "Cy"],
            "next_meeting": "2024-04-11",
            "decision": "ship on Friday",
        },
    ),
    Case(
        "product",
        "Aurora Desk Lamp - $39.95 (was $49.95)\nColor: white, black\nWeight: 1.2 kg\nRating: 4.6/5 (1,283 reviews)\nSKU: LMP-0042\n",
        {"price": "number", "colors": ["string"], "weight": "number", "reviews": "integer", "sku": "string"},
        {"price": 39.95, "colors": ["white", "black"], "weight": 1.2, "reviews": 1283, "sku": "LMP-0042"},
    ),
    Case(
        "ssh config",
        "Host prod\n    HostName 198.51.100.7\n    User deploy\n    Port 2222\n    IdentityFile ~/.ssh/prod\n",
        {"hostname": "string", "user": "string", "port": "integer"},
        {"hostname": "198.51.100.7", "user": "deploy", "port": 2222},
    ),
    Case(
        "terraform",
        'resource "aws_instance" "web" {\n  ami           = "ami-0abc"\n  instance_type = "t3.micro"\n  count         = 2\n}\n',
        {"ami": "string", "instance_type": "string", "count": "integer"},
        {"ami": "ami-0abc", "instance_type": "t3.micro", "count": 2},
    ),
]
