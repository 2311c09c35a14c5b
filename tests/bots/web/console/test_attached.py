"""What came along with a message, as the console's page of a conversation shows it."""

import pytest

from core.staff import Role
from core.turn import Address, Attachment, Channel, Inbound
from tests.bots.web.console.world import HERE, Console, browser_of
from tests.patience import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACHED = (
    Attachment(kind="location", ref="52.5201,13.4049", name="Café & Bar"),
    Attachment(kind="contact", ref="+4930123", name="Ada <b>"),
    Attachment(kind="document", ref="file-1", name="invoice.pdf"),
    Attachment(kind="photo", ref="file-2"),
)


async def test_a_place_and_a_contact_are_shown_in_words(console: Console) -> None:
    address = Address(workspace=HERE, channel=Channel.TELEGRAM, place="501")
    inbound = Inbound(
        address=address, event_id="1", customer="501", text="A person!", attachments=ATTACHED
    )
    await console.delivery.accept(inbound)
    await until(lambda: console.needs.cases.list(HERE))
    [waiting] = await console.needs.cases.list(HERE)
    async with browser_of(console, await console.person(Role.AGENT)) as agent:
        page = await agent.get(f"/desk/conversations/{waiting.case.conversation}")
    url = "https://www.openstreetmap.org/?mlat=52.5201&amp;mlon=13.4049"
    assert f'href="{url}"' in page.text
    assert "<bdi>Café &amp; Bar 52.5201, 13.4049</bdi></a>" in page.text
    assert "<bdi>Ada &lt;b&gt; +4930123</bdi>" in page.text
    assert "<bdi>invoice.pdf</bdi>" in page.text
    assert "<bdi>photo</bdi>" in page.text
