# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: the diagnostics in the output of compilers and linters, all of them or none."""

import time

import pytest

from engines.base import JsonValue
from tools.extract.formats.diagnostics import parse

CLANG = """\
In file included from src/a.c:1:
src/a.h:4:9: warning: unused variable 'n' [-Wunused-variable]
    int n;
        ^
src/a.c:7:5: error: call to undeclared function 'foo'; ISO C99 and later do not support implicit function declarations [-Wimplicit-function-declaration]
    foo(3);
    ^
src/a.c:7:5: note: did you mean 'fob'?
src/a.h:2:6: note: 'fob' declared here
void fob(int);
     ^
C:\\src\\b.c:12:3: fatal error: too deep
1 warning and 2 errors generated.
"""
GCC = """\
gcc -Wall -c c.c -o c.o
In file included from c.c:1:
c.h: In function ‘helper’:
c.h:1:41: error: expected ‘;’ before ‘}’ token
    1 | int helper(int a) { return a }
      |                             ^~
      |                             ;
c.c: In function ‘main’:
c.c:5:20: warning: unused variable ‘x’ [-Werror=unused-variable]
    5 |     int x = "a";
      |         ^
c.c:5:20: note: each undeclared identifier is reported only once
make: *** [Makefile:3: c.o] Error 1
"""
GCC_WITHOUT_COLUMNS = "c.c: In function 'main':\nc.c:5: error: 'y' undeclared\ncc1: fatal error: nope.c: No such file or directory\ncompilation terminated.\n"
SWIFT = """\
a.swift:3:5: error: cannot find 'foo' in scope
1 |
2 | func f() {
3 |     foo()
  |     `- error: cannot find 'foo' in scope
4 | }
"""
CLANG_TIDY = """\
1286 warnings generated.
/src/a.cpp:4:7: warning: use nullptr [modernize-use-nullptr]
    4 |   p = 0;
      |       ^
      |       nullptr
Suppressed 1285 warnings (1285 in non-user code).
Use -header-filter=.* to display errors from all non-system headers.
"""
CPPCHECK = """\
Checking a.c ...
a.c:3:5: error: Array 'a[10]' accessed at index 10, which is out of bounds. [arrayIndexOutOfBounds]
    a[10] = 0;
    ^
a.c:8:1: style: The function 'f' is never used. [unusedFunction]
"""
MYPY = """\
a.py:7: error: Incompatible return value type (got "int", expected "str")  [return-value]
a.py:7: note: See https://mypy.rtfd.io
b.py:10:3: error: Name "x" is not defined  [name-defined]
b.py:11: note: Revealed type is "builtins.int"
Found 2 errors in 2 files (checked 3 source files)
"""
MYPY_PRETTY = """\
a.py:7: error: Incompatible return value type (got "int", expected "str")
[return-value]
        return x + "a"
               ^~~~~~~
Found 1 error in 1 file (checked 1 source file)
"""
PYRIGHT = """\
/src/a.py
  /src/a.py:5:9 - error: Argument of type "dict[str, str]" cannot be assigned to parameter "a" of type "A" in function "f"
    "Literal['s']" is not assignable to "int" (reportArgumentType)
  /src/a.py:7:13 - information: Type of "x" is "list[int]"
/src/b.py
  /src/b.py:1:8 - warning: Import "y" could not be resolved from source (reportMissingModuleSource)
1 error, 1 warning, 1 information
"""
FLAKE8 = """\
./a.py:1:1: F401 'os' imported but unused
./a.py:13:80: E501 line too long (84 > 79 characters)
1     E501 line too long (84 > 79 characters)
1     F401 'os' imported but unused
2
"""
FLAKE8_SOURCE = """\
a.py:2:11: E401 multiple imports on one line
import sys, json
          ^
    Okay: import os
"""
PYLINT = """\
************* Module a
a.py:1:0: C0114: Missing module docstring (missing-module-docstring)
a.py:10:22: E0602: Undefined variable 'y' (undefined-variable)
************* Module b
b.py:1:0: R0801: Similar lines in 2 files
==a:[1:3]
==b:[1:3]
import os
import sys (duplicate-code)

------------------------------------------------------------------
Your code has been rated at 0.00/10 (previous run: 1.00/10, -1.00)
"""
PYLINT_PARSEABLE = (
    "************* Module a\na.py:1: [C0114(missing-module-docstring), ] Missing module docstring\n"
)
RUFF = """\
warning: `one-blank-line-before-class` (D203) and `no-blank-line-before-class` (D211) are incompatible.
F401 [*] `os` imported but unused
 --> src/a.py:1:8
  |
1 | import os
  |        ^^
2 | import sys
  |
help: Remove unused import: `os`
  |
  - import os
1 | import sys
  |

F841 Local variable `y` is assigned to but never used
  --> src/a.py:10:5
   |
 9 | def f():
10 |     y = 1
   |     ^
help: Remove assignment to unused variable `y`
9  | def f():
   -     y = 1
10 +     pass
note: This is an unsafe fix and may change runtime behavior

CPY001 Missing copyright notice at top of file
--> src/a.py:1:1

invalid-syntax: Expected `)`, found newline
 --> b.ipynb:cell 2:2:13
  |
2 | def broken(:
  |             ^

Found 4 errors.
[*] 1 fixable with the `--fix` option (1 hidden fix can be enabled with the `--unsafe-fixes` option).
"""
RUFF_CONCISE = """\
src/a.py:1:8: F401 [*] `os` imported but unused
src/a.py:3:1: PLR0913 Too many arguments in function definition (7 > 5)
src/b.py:2:13: invalid-syntax: Expected `)`, found newline
src/b.py:3:1: SyntaxError: Expected an expression
Found 4 errors.
[*] 1 fixable with the `--fix` option.
"""
RUFF_OLDER = """\
a.py:1:8: F401 [*] `os` imported but unused
  |
1 | import os
  |        ^^ F401
12 | import sys
  |
  = help: Remove unused import: `os`

Found 3 errors (2 fixed, 1 remaining).
"""
RUFF_GROUPED = (
    "a.py:\n  1:8  F401 [*] `os` imported but unused\n  10:23 F821 Undefined name `x`\n\nFound 2 errors.\n"
)
BANDIT = """\
[main]\tINFO\tprofile include tests: None
Run started:2026-11-29 12:15:07.616391+00:00

Test results:
>> Issue: [B101:assert_used] Use of assert detected.
   Severity: Low   Confidence: High
   CWE: CWE-703 (https://cwe.mitre.org/data/definitions/703.html)
   Location: ./a.py:13:4
12\tif True:
13\t    assert f(1) == None

--------------------------------------------------

Code scanned:
\tTotal lines of code: 10
\tTotal lines skipped (#nosec): 0

Run metrics:
\tTotal issues (by severity):
\t\tUndefined: 0
\t\tLow: 1
\t\tMedium: 0
\t\tHigh: 0
\tTotal issues (by confidence):
\t\tUndefined: 0
\t\tLow: 0
\t\tMedium: 0
\t\tHigh: 1
Files skipped (0):
"""
TSC = """\
> demo@1.0.0 build
> tsc -p .

src/(app)/a.ts(1,7): error TS2322: Type '{ a: string; }' is not assignable to type 'A'.
  Types of property 'a' are incompatible.
    Type 'string' is not assignable to type 'number'.
C:\\x\\b.ts(3,5): error TS2304: Cannot find name 'y'.
error TS18003: No inputs were found in config file.
"""
TSC_PRETTY = """\
ts/a.ts:1:7 - error TS2322: Type 'string' is not assignable to type 'number'.

1 const x: number = "a";
        ~

  ts/a.ts:2:17
    2 function f(a: { b: string }) {
                      ~
    The expected type comes from property 'b'

ts/b.ts:10:19 - error TS2307: Cannot find module './nope' or its corresponding type declarations.

10 import { y } from "./nope";
                     ~~~~~~~~


Found 2 errors in 2 files.

Errors  Files
     1  ts/a.ts:1
     1  ts/b.ts:10
"""
MSVC = """\
Microsoft (R) C/C++ Optimizing Compiler Version 19.38.33130 for x64
Copyright (C) Microsoft Corporation.  All rights reserved.

main.cpp
C:\\src\\main.cpp(12): error C2065: 'x': undeclared identifier
main.cpp(3,5): warning C4101: 'y': unreferenced local variable [C:\\src\\app.vcxproj]
main.cpp(3,5): note: see declaration of 'y'
main.obj : error LNK2019: unresolved external symbol f referenced in function main
LINK : fatal error LNK1104: cannot open file 'a.lib'
"""
DOTNET = """\
MSBuild version 17.8.3+195e7f5a3 for .NET
  Determining projects to restore...
  All projects are up-to-date for restore.
/x/y/Program.cs(3,5): error CS1002: ; expected [/x/y/y.csproj]
/x/y/Program.cs(4,9): warning CS0168: The variable 'a' is declared but never used [/x/y/y.csproj]

Build FAILED.

/x/y/Program.cs(4,9): warning CS0168: The variable 'a' is declared but never used [/x/y/y.csproj]
/x/y/Program.cs(3,5): error CS1002: ; expected [/x/y/y.csproj]
    1 Warning(s)
    1 Error(s)

Time Elapsed 00:00:01.23
"""
DOTNET_TWO_FRAMEWORKS = """\
Restore complete (0.4s)
  y net8.0 failed with 1 error(s) (1.2s)
    /x/y/Program.cs(3,5): error CS1002: ; expected [/x/y/y.csproj::TargetFramework=net8.0]
  y net9.0 failed with 1 error(s) (1.2s)
    /x/y/Program.cs(3,5): error CS1002: ; expected [/x/y/y.csproj::TargetFramework=net9.0]

Build failed with 2 error(s) in 2.3s
"""
CARGO = """\
   Compiling demo v0.1.0 (/src/demo)
error[E0308]: mismatched types
 --> src/main.rs:5:21
  |
5 |     let s: String = add(1, 2);
  |            ------   ^^^^^^^^^ expected `String`, found `i32`
  |            |
  |            expected due to this
  |
note: function defined here
 --> src/lib.rs:2:4
  |
2 | fn add(a: i32, b: i32) -> i32 { a + b }
  |    ^^^
help: try using a conversion method
  |
5 |     let s: String = add(1, 2).to_string();
  |                              ++++++++++++

warning: unused import: `std::fmt`
  --> src/main.rs:11:5
   |
11 | use std::fmt;
   |     ^^^^^^^^
   |
   = note: `#[warn(unused_imports)]` on by default

For more information about this error, try `rustc --explain E0308`.
warning: `demo` (bin "demo") generated 1 warning
error: could not compile `demo` (bin "demo") due to 1 previous error; 1 warning emitted
"""
CARGO_ALL_TARGETS = """\
    Checking demo v0.1.0 (/src/demo)
error[E0425]: cannot find value `y` in this scope
 --> src/lib.rs:8:28
  |
8 |     y;
  |     ^ not found in this scope

For more information about this error, try `rustc --explain E0425`.
error: could not compile `demo` (lib) due to 1 previous error
warning: build failed, waiting for other jobs to finish...
error: could not compile `demo` (lib test) due to 1 previous error
"""
CLIPPY = """\
warning: length comparison to zero
 --> src/main.rs:6:8
  |
6 |     if x.len() == 0 { return; }
  |        ^^^^^^^^^^^^ help: using `is_empty` is clearer and more explicit: `x.is_empty()`
  |
  = help: for further information visit https://rust-lang.github.io/rust-clippy/rust-1.95.0/index.html#len_zero

error: aborting due to previous error
"""
CARGO_SHORT = """\
    Checking demo v0.1.0 (/src/demo)
src/main.rs:5:21: error[E0308]: mismatched types: expected `String`, found `i32`
error: could not compile `demo` (bin "demo") due to 1 previous error
"""
JAVAC = """\
jv/B.java:3: error: incompatible types: String cannot be converted to int
    int f(String s) { return s; }
                             ^
jv/B.java:4: warning: [rawtypes] found raw type: List
import java.util.*;
           ^
  missing type arguments for generic class List<E>
jv/B.java:4: error: cannot find symbol
    void g() { foo(1); foo(1); }
               ^
  symbol:   method foo(int)
  location: class B
jv/B.java:4: error: cannot find symbol
    void g() { foo(1); foo(1); }
                       ^
  symbol:   method foo(int)
  location: class B
Note: jv/B.java uses unchecked or unsafe operations.
3 errors
1 warning
"""
GRADLE = """\
> Task :compileJava FAILED
/x/A.java:3: error: ';' expected
    int f = 1
             ^
1 error

FAILURE: Build failed with an exception.

* What went wrong:
Execution failed for task ':compileJava'.
> Compilation failed; see the compiler output below.
  /x/A.java:3: error: ';' expected
      int f = 1
               ^
  1 error

* Try:
> Check your code and dependencies to fix the compilation error(s)
> Run with --scan to get full insights.

BUILD FAILED in 1s
1 actionable task: 1 executed
"""
MAVEN = """\
[INFO] Scanning for projects...
[INFO] -------------------------------------------------------------
[ERROR] COMPILATION ERROR :
[INFO] -------------------------------------------------------------
[ERROR] /x/Y.java:[9,20] incompatible types: String cannot be converted to int
[ERROR] /x/Y.java:[12,5] cannot find symbol
  symbol:   class Foo
  location: class x.Y
[INFO] 2 errors
[INFO] BUILD FAILURE
[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.11.0:compile (default-compile) on project y: Compilation failure: Compilation failure:
[ERROR] /x/Y.java:[9,20] incompatible types: String cannot be converted to int
[ERROR] /x/Y.java:[12,5] cannot find symbol
[ERROR]   symbol:   class Foo
[ERROR]   location: class x.Y
[ERROR] -> [Help 1]
[ERROR]
[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.
[ERROR] Re-run Maven using the -X switch to enable full debug logging.
[ERROR]
[ERROR] For more information about the errors and possible solutions, please read the following articles:
[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/MojoFailureException
"""
SBT = """\
[info] compiling 1 Scala source to /x/target/classes ...
[error] /x/A.scala:3:17: type mismatch;
[error]  found   : String("a")
[error]  required: Int
[error] object A { val x: Int = "a" }
[error]                         ^
[error] one error found
[error] (Compile / compileIncremental) Compilation failed
[error] Total time: 1 s, completed Nov 29, 2026, 10:00:00 AM
"""
KOTLIN = """\
> Task :compileKotlin FAILED
e: file:///x/a.kt:3:5 Unresolved reference: foo
w: /x/b.kt: (7, 9): Variable 'y' is never used

FAILURE: Build failed with an exception.
"""
GO = """\
# example.com/demo
./main.go:5:2: "os" imported and not used
./main.go:9:7: not enough arguments in call to f
\thave (int)
\twant (int, string)
vet: ./util.go:3:1: undefined: x
./main.go:10:1: too many errors
"""
GOLANGCI = """\
main.go:5:12: Error return value of `os.Open` is not checked (errcheck)
\tos.Open("x")
\t       ^
main.go:9:2: SA4006: this value of `x` is never used (staticcheck)
2 issues:
* errcheck: 1
* staticcheck: 1
"""
ESLINT = """\

/src/bad.js
  1:1  error  Parsing error: The keyword 'let' is reserved

/src/e.js
  1:7   error    'x' is assigned a value but never used  @typescript-eslint/no-unused-vars
  2:5   warning  'foo' is not defined                    no-undef

✖ 3 problems (2 errors, 1 warning)
  1 error and 0 warnings potentially fixable with the `--fix` option.

"""
ESLINT_NEXT = "./app/page.tsx\n5:10  Error: 'foo' is defined but never used.  @typescript-eslint/no-unused-vars\n\ninfo  - Need to disable some ESLint rules? Learn more here: https://nextjs.org/docs\n"
ESLINT_UNIX = "/src/e.js:1:7: 'x' is never used. [Error/no-unused-vars]\n/src/e.js:2:5: 'foo' is not defined. [Warning/no-undef]\n\n2 problems\n"
ESLINT_COMPACT = "/src/e.js: line 1, col 7, Error - 'x' is never used. (no-unused-vars)\n\n1 problem\n"
STYLELINT = """\

a.css
  1:18  ✖  Unknown property "colr"  property-no-unknown
  2:8   ⚠  Empty block              block-no-empty

✖ 2 problems (1 error, 1 warning)

"""
STYLELINT_UNIX = "/x/a.css:2:8: Empty block (block-no-empty) [error]\n\n1 problem (1 error, 0 warnings)\n"
SHELLCHECK = """\

In x.sh line 2:
for f in $(ls *.txt); do
         ^---------^ SC2045 (error): Iterating over ls output is fragile. Use globs.
              ^-- SC2035 (info): Use ./*glob* or -- *glob* so names with dashes won't become options.


In x.sh line 3:
  echo $f
       ^-- SC2086: Double quote to prevent globbing and word splitting.

Did you mean:
  echo "$f"

For more information:
  https://www.shellcheck.net/wiki/SC2045 -- Iterating over ls output is fragi...
"""
SHELLCHECK_GCC = "x.sh:3:8: note: Double quote to prevent globbing and word splitting. [SC2086]\n"
PHP = """\
PHP Parse error:  syntax error, unexpected token "}" in /x/a.php on line 3

Parse error: syntax error, unexpected token "}" in /x/a.php on line 3
Errors parsing /x/a.php
"""
PHPSTAN = """\
Note: Using configuration file /x/phpstan.neon.
 3/3 [▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓] 100%

 ------ ------------------------------------------------------
  Line   src/Foo.php
 ------ ------------------------------------------------------
  12     Parameter #1 $x of function foo expects int, string
         given.
         🪪  argument.type
         💡 Learn more: https://phpstan.org/
         about this
  15     Undefined variable: $y
 ------ ------------------------------------------------------

 [ERROR] Found 2 errors
"""
PHPCS = """\
.E 2 / 2 (100%)

FILE: /path/to/code/myfile.php
----------------------------------------------------------------------
FOUND 2 ERRORS AND 1 WARNING AFFECTING 3 LINES
----------------------------------------------------------------------
  2 | ERROR   | [ ] Missing file doc comment
 20 | ERROR   | [x] PHP keywords must be lowercase; expected "false" but
    |         |     found "FALSE" (Generic.PHP.LowerCaseConstant.Found)
 51 | WARNING | Line exceeds 80 characters
    |         |     (Generic.Files.LineLength.TooLong)
----------------------------------------------------------------------
PHPCBF CAN FIX THE 1 MARKED SNIFF VIOLATIONS AUTOMATICALLY
----------------------------------------------------------------------

Time: 57ms; Memory: 6MB
"""
RUBOCOP = """\
Inspecting 2 files
C.

Offenses:

app/x.rb:3:5: C: [Correctable] Layout/IndentationWidth: Use 2 (not 4) spaces for indentation.
    foo
^^^^
app/x.rb:9:12: W: Lint/UselessAssignment: Useless assignment to variable - y.
def foo ...
^^^^^^^

2 files inspected, 2 offenses detected, 1 offense autocorrectable
"""
HADOLINT = "Dockerfile:3 DL3008 warning: Pin versions in apt get install\nDockerfile:4 SC2086 Double quote to prevent globbing\n"
YAMLLINT = """\
a.yaml
  1:1       warning  missing document start "---"  (document-start)
  3:1       error    syntax error: expected <block end>, but found '-' (syntax)

b.yaml
  1:9       error    trailing spaces  (trailing-spaces)

"""
YAMLLINT_PARSABLE = 'a.yaml:1:1: [warning] missing document start "---" (document-start)\n'
MARKDOWNLINT = """\
markdownlint-cli2 v0.12.1 (markdownlint v0.33.0)
Finding: *.md
Linting: 1 file(s)
Summary: 2 error(s)
a.md:3 MD022/blanks-around-headings Headings should be surrounded by blank lines [Context: "# A"]
a.md:6:1 error MD018/no-missing-space-atx No space after hash on atx style heading
"""
BIOME = """\
e.js:1:7 lint/correctness/noUnusedVariables  FIXABLE  ━━━━━━━━━━━━━━━━━━━━

  ! This variable x is unused.

  > 1 │ const x = 'a'
      │       ^
    2 │

  i Unused variables are often the result of typos.


bad.js:1:1 parse ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━

  × Illegal use of reserved keyword `let`

Checked 2 files in 22ms. No fixes applied.
Found 1 error.
Found 1 warning.
lint ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━

  × Some errors were emitted while running checks.

"""
TY = """\
error[invalid-assignment]: Object of type `str` is not assignable to `int`
 --> a.py:1:10
  |
1 | x: int = "a"
  |    ---   ^^^ Incompatible value
  |
info: rule `invalid-assignment` is enabled by default

Found 1 diagnostic
"""


def row(
    file: str | None,
    line: int | None,
    column: int | None,
    severity: str | None,
    code: str | None,
    message: str,
) -> dict[str, JsonValue]:
    values: dict[str, JsonValue] = {
        "file": file,
        "line": line,
        "column": column,
        "severity": severity,
        "code": code,
        "message": message,
    }
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "name", "rows"),
    [
        (
            CLANG,
            "gcc",
            [
                row("src/a.h", 4, 9, "warning", "-Wunused-variable", "unused variable 'n'"),
                row(
                    "src/a.c",
                    7,
                    5,
                    "error",
                    "-Wimplicit-function-declaration",
                    "call to undeclared function 'foo'; ISO C99 and later do not support implicit function declarations",
                ),
                row("C:\\src\\b.c", 12, 3, "fatal error", None, "too deep"),
            ],
        ),
        (
            GCC,
            "gcc",
            [
                row("c.h", 1, 41, "error", None, "expected ‘;’ before ‘}’ token"),
                row("c.c", 5, 20, "warning", "-Werror=unused-variable", "unused variable ‘x’"),
            ],
        ),
        (
            GCC_WITHOUT_COLUMNS,
            "gcc",
            [
                row("c.c", 5, None, "error", None, "'y' undeclared"),
                row(None, None, None, "fatal error", None, "nope.c: No such file or directory"),
            ],
        ),
        (SWIFT, "gcc", [row("a.swift", 3, 5, "error", None, "cannot find 'foo' in scope")]),
        (
            CLANG_TIDY,
            "clang-tidy",
            [row("/src/a.cpp", 4, 7, "warning", "modernize-use-nullptr", "use nullptr")],
        ),
        (
            CPPCHECK,
            "cppcheck",
            [
                row(
                    "a.c",
                    3,
                    5,
                    "error",
                    "arrayIndexOutOfBounds",
                    "Array 'a[10]' accessed at index 10, which is out of bounds.",
                ),
                row("a.c", 8, 1, "style", "unusedFunction", "The function 'f' is never used."),
            ],
        ),
        (
            "[a.c:3] -> [a.c:5]: (style) Variable 'x' is reassigned.\n",
            "cppcheck",
            [row("a.c", 5, None, "style", None, "Variable 'x' is reassigned.")],
        ),
        (
            MYPY,
            "mypy",
            [
                row(
                    "a.py",
                    7,
                    None,
                    "error",
                    "return-value",
                    'Incompatible return value type (got "int", expected "str")',
                ),
                row("b.py", 10, 3, "error", "name-defined", 'Name "x" is not defined'),
                row("b.py", 11, None, "note", None, 'Revealed type is "builtins.int"'),
            ],
        ),
        (
            MYPY_PRETTY,
            "mypy",
            [
                row(
                    "a.py",
                    7,
                    None,
                    "error",
                    "return-value",
                    'Incompatible return value type (got "int", expected "str")',
                )
            ],
        ),
        (
            PYRIGHT,
            "pyright",
            [
                row(
                    "/src/a.py",
                    5,
                    9,
                    "error",
                    "reportArgumentType",
                    'Argument of type "dict[str, str]" cannot be assigned to parameter "a" of type "A" in function "f"',
                ),
                row("/src/a.py", 7, 13, "information", None, 'Type of "x" is "list[int]"'),
                row(
                    "/src/b.py",
                    1,
                    8,
                    "warning",
                    "reportMissingModuleSource",
                    'Import "y" could not be resolved from source',
                ),
            ],
        ),
        (
            FLAKE8,
            "flake8",
            [
                row("./a.py", 1, 1, None, "F401", "'os' imported but unused"),
                row("./a.py", 13, 80, None, "E501", "line too long (84 > 79 characters)"),
            ],
        ),
        (FLAKE8_SOURCE, "flake8", [row("a.py", 2, 11, None, "E401", "multiple imports on one line")]),
        (
            "a.py:1:1: 'os' imported but unused\n",
            "pyflakes",
            [row("a.py", 1, 1, None, None, "'os' imported but unused")],
        ),
        (
            PYLINT,
            "pylint",
            [
                row("a.py", 1, 0, None, "C0114", "Missing module docstring"),
                row("a.py", 10, 22, None, "E0602", "Undefined variable 'y'"),
                row("b.py", 1, 0, None, "R0801", "Similar lines in 2 files"),
            ],
        ),
        (PYLINT_PARSEABLE, "pylint", [row("a.py", 1, None, None, "C0114", "Missing module docstring")]),
        (
            RUFF,
            "ruff",
            [
                row("src/a.py", 1, 8, None, "F401", "`os` imported but unused"),
                row("src/a.py", 10, 5, None, "F841", "Local variable `y` is assigned to but never used"),
                row("src/a.py", 1, 1, None, "CPY001", "Missing copyright notice at top of file"),
                row("b.ipynb", 2, 13, None, "invalid-syntax", "Expected `)`, found newline"),
            ],
        ),
        (
            RUFF_CONCISE,
            "ruff",
            [
                row("src/a.py", 1, 8, None, "F401", "`os` imported but unused"),
                row("src/a.py", 3, 1, None, "PLR0913", "Too many arguments in function definition (7 > 5)"),
                row("src/b.py", 2, 13, None, "invalid-syntax", "Expected `)`, found newline"),
                row("src/b.py", 3, 1, None, None, "SyntaxError: Expected an expression"),
            ],
        ),
        (RUFF_OLDER, "ruff", [row("a.py", 1, 8, None, "F401", "`os` imported but unused")]),
        (
            RUFF_GROUPED,
            "ruff",
            [
                row("a.py", 1, 8, None, "F401", "`os` imported but unused"),
                row("a.py", 10, 23, None, "F821", "Undefined name `x`"),
            ],
        ),
        (BANDIT, "bandit", [row("./a.py", 13, 4, "Low", "B101", "Use of assert detected.")]),
        (
            TSC,
            "tsc",
            [
                row(
                    "src/(app)/a.ts",
                    1,
                    7,
                    "error",
                    "TS2322",
                    "Type '{ a: string; }' is not assignable to type 'A'.",
                ),
                row("C:\\x\\b.ts", 3, 5, "error", "TS2304", "Cannot find name 'y'."),
                row(None, None, None, "error", "TS18003", "No inputs were found in config file."),
            ],
        ),
        (
            TSC_PRETTY,
            "tsc",
            [
                row("ts/a.ts", 1, 7, "error", "TS2322", "Type 'string' is not assignable to type 'number'."),
                row(
                    "ts/b.ts",
                    10,
                    19,
                    "error",
                    "TS2307",
                    "Cannot find module './nope' or its corresponding type declarations.",
                ),
            ],
        ),
        (
            MSVC,
            "msbuild",
            [
                row("C:\\src\\main.cpp", 12, None, "error", "C2065", "'x': undeclared identifier"),
                row("main.cpp", 3, 5, "warning", "C4101", "'y': unreferenced local variable"),
                row(
                    "main.obj",
                    None,
                    None,
                    "error",
                    "LNK2019",
                    "unresolved external symbol f referenced in function main",
                ),
                row(None, None, None, "fatal error", "LNK1104", "cannot open file 'a.lib'"),
            ],
        ),
        (
            DOTNET,
            "msbuild",
            [
                row("/x/y/Program.cs", 3, 5, "error", "CS1002", "; expected"),
                row(
                    "/x/y/Program.cs",
                    4,
                    9,
                    "warning",
                    "CS0168",
                    "The variable 'a' is declared but never used",
                ),
            ],
        ),
        (
            DOTNET_TWO_FRAMEWORKS,
            "msbuild",
            [row("/x/y/Program.cs", 3, 5, "error", "CS1002", "; expected")] * 2,
        ),
        (
            CARGO,
            "rustc",
            [
                row("src/main.rs", 5, 21, "error", "E0308", "mismatched types"),
                row("src/main.rs", 11, 5, "warning", None, "unused import: `std::fmt`"),
            ],
        ),
        (
            CARGO_ALL_TARGETS,
            "rustc",
            [row("src/lib.rs", 8, 28, "error", "E0425", "cannot find value `y` in this scope")],
        ),
        (
            CLIPPY.replace("warning", "error"),
            "rustc",
            [row("src/main.rs", 6, 8, "error", None, "length comparison to zero")],
        ),
        (
            CARGO_SHORT,
            "rustc",
            [
                row(
                    "src/main.rs",
                    5,
                    21,
                    "error",
                    "E0308",
                    "mismatched types: expected `String`, found `i32`",
                )
            ],
        ),
        (
            TY,
            "rustc",
            [
                row(
                    "a.py",
                    1,
                    10,
                    "error",
                    "invalid-assignment",
                    "Object of type `str` is not assignable to `int`",
                )
            ],
        ),
        (
            JAVAC,
            "javac",
            [
                row(
                    "jv/B.java",
                    3,
                    None,
                    "error",
                    None,
                    "incompatible types: String cannot be converted to int",
                ),
                row("jv/B.java", 4, None, "warning", "rawtypes", "found raw type: List"),
                row("jv/B.java", 4, None, "error", None, "cannot find symbol"),
                row("jv/B.java", 4, None, "error", None, "cannot find symbol"),
            ],
        ),
        (GRADLE, "javac", [row("/x/A.java", 3, None, "error", None, "';' expected")]),
        (
            MAVEN,
            "maven",
            [
                row(
                    "/x/Y.java",
                    9,
                    20,
                    "ERROR",
                    None,
                    "incompatible types: String cannot be converted to int",
                ),
                row("/x/Y.java", 12, 5, "ERROR", None, "cannot find symbol"),
            ],
        ),
        (SBT, "sbt", [row("/x/A.scala", 3, 17, "error", None, "type mismatch;")]),
        (
            KOTLIN,
            "kotlinc",
            [
                row("/x/a.kt", 3, 5, "e", None, "Unresolved reference: foo"),
                row("/x/b.kt", 7, 9, "w", None, "Variable 'y' is never used"),
            ],
        ),
        (
            GO,
            "go",
            [
                row("./main.go", 5, 2, None, None, '"os" imported and not used'),
                row("./main.go", 9, 7, None, None, "not enough arguments in call to f"),
                row("./util.go", 3, 1, None, None, "undefined: x"),
            ],
        ),
        (
            GOLANGCI,
            "golangci-lint",
            [
                row("main.go", 5, 12, None, "errcheck", "Error return value of `os.Open` is not checked"),
                row("main.go", 9, 2, None, "SA4006", "this value of `x` is never used"),
            ],
        ),
        (
            ESLINT,
            "eslint",
            [
                row("/src/bad.js", 1, 1, "error", None, "Parsing error: The keyword 'let' is reserved"),
                row(
                    "/src/e.js",
                    1,
                    7,
                    "error",
                    "@typescript-eslint/no-unused-vars",
                    "'x' is assigned a value but never used",
                ),
                row("/src/e.js", 2, 5, "warning", "no-undef", "'foo' is not defined"),
            ],
        ),
        (
            ESLINT_NEXT,
            "eslint",
            [
                row(
                    "./app/page.tsx",
                    5,
                    10,
                    "Error",
                    "@typescript-eslint/no-unused-vars",
                    "'foo' is defined but never used.",
                )
            ],
        ),
        (
            ESLINT_UNIX,
            "eslint",
            [
                row("/src/e.js", 1, 7, "Error", "no-unused-vars", "'x' is never used."),
                row("/src/e.js", 2, 5, "Warning", "no-undef", "'foo' is not defined."),
            ],
        ),
        (
            ESLINT_COMPACT,
            "eslint",
            [row("/src/e.js", 1, 7, "Error", "no-unused-vars", "'x' is never used.")],
        ),
        (
            STYLELINT,
            "stylelint",
            [
                row("a.css", 1, 18, "error", "property-no-unknown", 'Unknown property "colr"'),
                row("a.css", 2, 8, "warning", "block-no-empty", "Empty block"),
            ],
        ),
        (
            STYLELINT_UNIX,
            "stylelint",
            [row("/x/a.css", 2, 8, "error", "block-no-empty", "Empty block")],
        ),
        (
            SHELLCHECK,
            "shellcheck",
            [
                row(
                    "x.sh",
                    2,
                    None,
                    "error",
                    "SC2045",
                    "Iterating over ls output is fragile. Use globs.",
                ),
                row(
                    "x.sh",
                    2,
                    None,
                    "info",
                    "SC2035",
                    "Use ./*glob* or -- *glob* so names with dashes won't become options.",
                ),
                row(
                    "x.sh",
                    3,
                    None,
                    None,
                    "SC2086",
                    "Double quote to prevent globbing and word splitting.",
                ),
            ],
        ),
        (
            SHELLCHECK_GCC,
            "shellcheck",
            [row("x.sh", 3, 8, "note", "SC2086", "Double quote to prevent globbing and word splitting.")],
        ),
        (
            PHP,
            "php",
            [row("/x/a.php", 3, None, "Parse error", None, 'syntax error, unexpected token "}"')],
        ),
        (
            PHPSTAN,
            "phpstan",
            [
                row(
                    "src/Foo.php",
                    12,
                    None,
                    None,
                    "argument.type",
                    "Parameter #1 $x of function foo expects int, string given.",
                ),
                row("src/Foo.php", 15, None, None, None, "Undefined variable: $y"),
            ],
        ),
        (
            PHPCS,
            "phpcs",
            [
                row("/path/to/code/myfile.php", 2, None, "ERROR", None, "Missing file doc comment"),
                row(
                    "/path/to/code/myfile.php",
                    20,
                    None,
                    "ERROR",
                    "Generic.PHP.LowerCaseConstant.Found",
                    'PHP keywords must be lowercase; expected "false" but found "FALSE"',
                ),
                row(
                    "/path/to/code/myfile.php",
                    51,
                    None,
                    "WARNING",
                    "Generic.Files.LineLength.TooLong",
                    "Line exceeds 80 characters",
                ),
            ],
        ),
        (
            RUBOCOP,
            "rubocop",
            [
                row(
                    "app/x.rb",
                    3,
                    5,
                    "C",
                    "Layout/IndentationWidth",
                    "Use 2 (not 4) spaces for indentation.",
                ),
                row("app/x.rb", 9, 12, "W", "Lint/UselessAssignment", "Useless assignment to variable - y."),
            ],
        ),
        (
            HADOLINT,
            "hadolint",
            [
                row("Dockerfile", 3, None, "warning", "DL3008", "Pin versions in apt get install"),
                row("Dockerfile", 4, None, None, "SC2086", "Double quote to prevent globbing"),
            ],
        ),
        (
            YAMLLINT,
            "yamllint",
            [
                row("a.yaml", 1, 1, "warning", "document-start", 'missing document start "---"'),
                row("a.yaml", 3, 1, "error", "syntax", "syntax error: expected <block end>, but found '-'"),
                row("b.yaml", 1, 9, "error", "trailing-spaces", "trailing spaces"),
            ],
        ),
        (
            YAMLLINT_PARSABLE,
            "yamllint",
            [row("a.yaml", 1, 1, "warning", "document-start", 'missing document start "---"')],
        ),
        (
            MARKDOWNLINT,
            "markdownlint",
            [
                row(
                    "a.md",
                    3,
                    None,
                    None,
                    "MD022",
                    'Headings should be surrounded by blank lines [Context: "# A"]',
                ),
                row("a.md", 6, 1, "error", "MD018", "No space after hash on atx style heading"),
            ],
        ),
        (
            BIOME,
            "biome",
            [
                row(
                    "e.js",
                    1,
                    7,
                    "warning",
                    "lint/correctness/noUnusedVariables",
                    "This variable x is unused.",
                ),
                row("bad.js", 1, 1, "error", "parse", "Illegal use of reserved keyword `let`"),
            ],
        ),
    ],
)
def test_all_diagnostics_of_a_text_are_read(text: str, name: str, rows: list[dict[str, JsonValue]]) -> None:
    report = parse(text)
    assert report is not None
    assert report.format == name
    assert [dict(record.values) for record in report.records] == rows
    assert report.totals["total"] == len(rows)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Success: no issues found in 3 source files\n", "mypy"),
        ("0 errors, 0 warnings, 0 informations \n", "pyright"),
        ("All checks passed!\n", "ruff"),
        ("\n---------------------\nYour code has been rated at 10.00/10\n\n", "pylint"),
        ("Inspecting 3 files\n...\n\n3 files inspected, no offenses detected\n", "rubocop"),
        (
            "    Checking demo v0.1.0 (/x)\n    Finished `dev` profile [unoptimized] target(s) in 0.12s\n",
            "rustc",
        ),
        ("Build succeeded.\n    0 Warning(s)\n    0 Error(s)\n\nTime Elapsed 00:00:01.23\n", "msbuild"),
        ("No syntax errors detected in a.php\n", "php"),
        (" [OK] No errors\n", "phpstan"),
        ("Checked 4 files in 22ms. No fixes applied.\n", "biome"),
        ("0 issues.\n", "golangci-lint"),
    ],
)
def test_a_run_without_findings_is_a_report_without_records(text: str, name: str) -> None:
    report = parse(text)
    assert report is not None
    assert (report.format, report.records) == (name, [])


def test_a_record_spans_its_notes_and_source() -> None:
    report = parse(CARGO)
    assert report is not None
    assert [(record.first, record.last) for record in report.records] == [(2, 18), (20, 26)]


def test_totals_name_what_was_counted() -> None:
    report = parse(PYRIGHT)
    assert report is not None
    assert report.totals == {"errors": 1, "warnings": 1, "informations": 1, "total": 3}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("0\n", id="a number"),
        pytest.param("The build broke: main.c has an error in line 3, and nobody fixed it.\n", id="prose"),
        pytest.param("error: pathspec 'x' did not match any file(s) known to git\n", id="git"),
        pytest.param("src/a.py:3:import os\nsrc/a.py:14:    return os\n", id="grep"),
        pytest.param("=== FAILURES ===\nE   assert 1 == 2\n\na.py:3: AssertionError\n", id="pytest"),
        pytest.param(
            'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: x\n',
            id="traceback",
        ),
        pytest.param("--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-import os\n+import sys\n", id="diff"),
        pytest.param("2026-11-29 12:00:01 ERROR db: connection lost\n", id="log"),
        pytest.param("# Title\n\n  1:1  is the ratio\n\nText.\n", id="markdown"),
        pytest.param('{"file": "a.py", "line": 3}\n', id="json"),
    ],
)
def test_other_texts_are_not_read(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CLANG.split("\n", 5)[-1], id="clang"),
        pytest.param(MYPY.split("\n", 1)[-1], id="mypy"),
        pytest.param(PYRIGHT.replace("\n1 error,", "\n2 errors,"), id="pyright"),
        pytest.param(RUFF_CONCISE.split("\n", 1)[-1], id="ruff"),
        pytest.param(FLAKE8.split("\n", 1)[-1], id="flake8"),
        pytest.param(TSC_PRETTY.replace("Found 2", "Found 3"), id="tsc"),
        pytest.param(DOTNET.replace("1 Error", "3 Error"), id="dotnet"),
        pytest.param(CARGO.replace("due to 1", "due to 2"), id="cargo"),
        pytest.param(JAVAC.replace("3 errors", "4 errors"), id="javac"),
        pytest.param(MAVEN.replace("2 errors", "3 errors"), id="maven"),
        pytest.param(ESLINT.replace("2 errors, 1", "1 error, 2"), id="eslint"),
        pytest.param(RUBOCOP.replace("2 offenses", "7 offenses"), id="rubocop"),
        pytest.param(PHPCS.replace("2 ERRORS", "3 ERRORS"), id="phpcs"),
    ],
)
def test_a_count_that_disagrees_refuses_the_text(text: str) -> None:
    assert parse(text) is None


def test_an_unfinished_passage_refuses_the_text() -> None:
    assert parse(PYLINT.split("import sys")[0]) is None


@pytest.mark.parametrize("text", [GCC, MYPY, RUFF, TSC, CARGO, GO, ESLINT, PHPCS, RUBOCOP])
def test_an_unknown_line_refuses_the_text(text: str) -> None:
    assert parse(text + "Then we tried it again\n") is None
    assert parse("This is what it said:\n" + text) is None


@pytest.mark.parametrize(
    "unit", [" ", " [a", " (a", "  a", "`", " in ", "a-", "a/", "^ ", "[a:1] -> ", "1(", "a.c:1: "]
)
@pytest.mark.parametrize(
    "start", ["", "a.py:1:1: E1 ", "a.c:1:2: error: ", "PHP Parse error:  x", "  1:1  error  x"]
)
def test_time_grows_with_the_length_of_a_line(start: str, unit: str) -> None:
    def seconds(repeats: int) -> float:
        text = start + unit * repeats + "\x00"
        begun = time.thread_time()
        parse(text)
        return time.thread_time() - begun

    seconds(10)
    # Four times the length; a quadratic pattern would take sixteen times as long.
    assert min(seconds(8_000) for _ in range(3)) < 10 * min(seconds(2_000) for _ in range(3)) + 0.005
