import httpx
import pytest

from retrieval.gathering import Gathered, gather
from retrieval.knowledge import silent
from tests.core.adapters.test_pages import Network

HOST = "help.example.org"


async def gathered(*paths: str, data: bytes, media_type: str = "text/html") -> Gathered:
    def page(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=data, headers={"content-type": media_type})

    network = Network(page, help_example_org=("93.184.216.34",))
    return await gather([f"https://{HOST}{path}" for path in paths], network.pages(HOST), silent)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", ""),
        ("", ""),
        ("/returns.html", "/returns"),
        ("/docs/2.1-install", "/docs/2.1-install"),
        ("/v1.0/", "/v1.0"),
        ("/.html", "/.html"),
        ("/a.htm?b=1", "/a?b=1"),
    ],
)
async def test_a_page_is_called_by_its_address_without_what_tells_its_kind(
    path: str, name: str
) -> None:
    found = await gathered(path, data=b"<p>Text.</p>")
    assert [draft.id for draft in found.drafts] == [HOST + name]
    assert found.faults == ()


async def test_two_versions_of_a_page_stand_side_by_side() -> None:
    found = await gathered("/kb/12.345", "/kb/12.346", data=b"<p>Text.</p>")
    assert len(found.drafts) == 2


async def test_a_page_is_read_in_the_charset_that_its_site_declares() -> None:
    data = "<meta charset=utf-8><p>Возврат</p>".encode("cp1251")
    found = await gathered("/", data=data, media_type="text/html; charset=windows-1251")
    assert found.drafts[0].text == "Возврат"
