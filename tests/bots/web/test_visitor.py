"""By what customers are told apart before they have a cookie."""

import pytest
from starlette.requests import Request

from bots.web.visitor import network


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8::1", "2001:db8::"),
        ("2001:db8::ffff:1", "2001:db8::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("a-test", "a-test"),
    ],
)
def test_all_addresses_of_one_ipv6_customer_count_as_one(host: str, counted: str) -> None:
    assert network(Request({"type": "http", "client": (host, 0)})) == counted


def test_who_has_no_address_has_none() -> None:
    assert network(Request({"type": "http", "client": None})) == ""
