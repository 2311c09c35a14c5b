"""What a writer lets through."""

from collections.abc import Sequence

import pytest

from core.escalation import Policy
from core.reply import Asked, Writer, verbatim
from core.turn import Passage
from tests.fakes.ports import FakeGenerator

RETOURE = Passage(
    id="d1",
    document="retoure.de",
    title="Rückgabe",
    language="de",
    text="Sie können Artikel innerhalb von 30 Tagen zurücksenden.",
)
ASKED = Asked(text="How long may I return it?", language="en", history=(), replacements={})


async def _guess(text: str) -> Sequence[tuple[str, float]]:
    return [("en", 0.98)]


async def _unseen(text: str) -> None:
    """Nobody watches."""


@pytest.mark.parametrize(
    ("written", "across_languages", "believed"),
    [
        ("You can return items within 30 days [1].", False, False),
        ("You can return items within 30 days [1].", True, True),
        # The facts are still checked.
        ("You can return items within 60 days [1].", True, False),
    ],
)
async def test_across_languages_a_claim_is_believed_only_where_a_person_judges_it(
    written: str, across_languages: bool, believed: bool
) -> None:
    generator = FakeGenerator(written)
    writer = Writer(generator, _guess, Policy(), across_languages=across_languages)
    assert (await writer.write(ASKED, [RETOURE], _unseen) is not None) == believed


@pytest.mark.parametrize(("language", "name"), [("sw", "English"), ("ms", "Inggris")])
def test_an_article_s_language_is_named_in_the_language_of_the_sentence(
    language: str, name: str
) -> None:
    passage = Passage(id="a", document="a", title="A", text="You can.", language="en")
    introduction = verbatim([("x", [passage])], language).text.splitlines()[0]
    assert introduction.rstrip(":").endswith(name)
