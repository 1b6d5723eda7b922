# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: the failed cases in JUnit XML files."""

import pytest

from tools.extract.formats.junit_xml import parse
from tools.extract.formats.report import Record

PYTEST = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3" time="0.02">
<testcase classname="tests.test_a.TestT" name="test_x[1]" time="0.001"><failure message="AssertionError: assert 1 == 2">def test_x():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:9: AssertionError</failure></testcase>
<testcase classname="tests.test_a" name="test_s"><skipped type="pytest.skip" message="no">x</skipped></testcase>
<testcase classname="tests.test_a" name="test_ok"/>
</testsuite></testsuites>
"""

MAVEN = """\
<testsuite name="com.shop.CartTest" tests="1" errors="1" failures="0">
  <testcase name="boom" classname="com.shop.CartTest" time="0.01">
    <error message="no" type="java.lang.IllegalStateException"><![CDATA[java.lang.IllegalStateException: no
	at com.shop.Cart.boom(Cart.java:33)
	at com.shop.CartTest.boom(CartTest.java:17)
]]></error>
    <system-out>hi</system-out>
  </testcase>
</testsuite>
"""


def test_pytest_names_the_place_in_the_text() -> None:
    report = parse(PYTEST)
    assert report is not None
    assert report.format == "junit xml"
    assert report.totals == {"failed": 1, "passed": 1, "skipped": 1, "errors": 0, "total": 3}
    assert report.records == [
        Record(
            {
                "test": "tests.test_a.TestT.test_x[1]",
                "error": "AssertionError",
                "message": "assert 1 == 2",
                "file": "tests/test_a.py",
                "line": 9,
            },
            3,
            7,
        ),
    ]


def test_java_names_the_type_in_an_attribute() -> None:
    report = parse(MAVEN)
    assert report is not None
    assert report.format == "junit xml"
    assert report.totals == {"failed": 0, "passed": 0, "skipped": 0, "errors": 1, "total": 1}
    assert report.records == [
        Record(
            {
                "test": "com.shop.CartTest.boom",
                "error": "IllegalStateException",
                "message": "no",
                "file": "CartTest.java",
                "line": 17,
            },
            2,
            6,
        ),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]>\n<testsuite tests="0"/>',
        '<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>',
        "<testsuite><testcase name='a'><failure></testsuite>",
        '<testsuite failures="2"><testcase name="a"><failure/></testcase></testsuite>',
        '<testsuite failures="many"/>',
        "<project><target/></project>",
        "<testsuite/> and so on",
        "",
    ],
)
def test_entities_broken_xml_other_xml_and_wrong_counts_are_refused(text: str) -> None:
    assert parse(text) is None
