"""Replies as Slack messages."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bots.slack.cutting import cut
from bots.slack.markup import emoji_in, escape, harmless, plain, urls
from bots.slack.render import render
from core.phrases import Phrase, say
from core.turn import (
    Address,
    Answer,
    Attachment,
    Channel,
    Clarify,
    ConversationId,
    Handoff,
    Outcome,
    Owner,
    Passage,
    Reason,
    Served,
    Turn,
    TurnId,
    Words,
    WorkspaceId,
)
from tests.fakes.slack.limits import pings, refusal
from tests.fakes.slack.team import FakeTeam

ADDRESS = Address(workspace=WorkspaceId("w"), channel=Channel.SLACK, place="D0CUSTOMER")
SHOP = "https://shop.example/returns"
PASSAGE = Passage(
    id="p1",
    document="returns.md",
    title="Returns [EU] & *more*",
    text=f"Send it back, see {SHOP}/form.",
    language="en",
    source=SHOP,
)


def bodies(outcome: Outcome | Words, owner: Owner = Owner.BOT) -> list[dict[str, Any]]:
    turn = Turn(
        id=TurnId(7), conversation=ConversationId(1), address=ADDRESS, text="?", owner=owner
    )
    served = Served(outcome=outcome, language="en", probability=1.0)
    return [json.loads(body) for body in render(served, turn)]


def kinds(body: dict[str, Any]) -> list[str]:
    return [block["type"] for block in body["blocks"]]


def test_an_answer_names_its_sources_once_and_links_them() -> None:
    other = Passage(id="p2", document="b.md", title="Plain", text="", language="en")
    (body,) = bodies(Answer(text="Send it back.", citations=(PASSAGE, PASSAGE, other)))
    label = say(Phrase.SOURCE, "en")
    assert body["blocks"][0]["text"] == (
        f"Send it back.\n\n{label}: [Returns \\[EU\\] & \\*more\\*]({SHOP})\n{label}: Plain"
    )
    assert kinds(body) == ["markdown", "context_actions", "actions"]


def test_a_handoff_has_no_buttons() -> None:
    (body,) = bodies(Handoff(reason=Reason.ASKED, text="A person will come."))
    assert kinds(body) == ["markdown"]


def test_while_a_person_is_expected_none_is_offered() -> None:
    (body,) = bodies(Clarify(text="Which?", choices=("a", "b")), owner=Owner.WAITING)
    assert len(body["blocks"]) == 2


def test_only_the_last_part_has_buttons() -> None:
    parts = bodies(Answer(text="A sentence. " * 2_000, citations=()))
    assert len(parts) == 3
    assert [kinds(part) for part in parts[:-1]] == [["markdown"], ["markdown"]]
    assert "context_actions" in kinds(parts[-1])


def test_mentions_notify_nobody() -> None:
    for mention in (
        "<!channel>",
        "<!here|here>",
        "<!everyone>",
        "<@U0BOSS>",
        "<@W1|x>",
        "<!subteam^S1|@team>",
        "<#C1>",
        "<<!channel>>",
        "<\u200b!channel>",
        "<\u2060@U0BOSS>",
    ):
        for outcome in (
            Answer(text=f"ask {mention} now", citations=(PASSAGE,)),
            Clarify(text=mention, choices=(mention * 20,)),
            Answer(
                text="x",
                citations=(Passage(id="", document="d", title=mention, text="", language="en"),),
            ),
        ):
            for body in bodies(outcome):
                assert not pings(body), mention


def test_only_addresses_of_the_cited_passages_stay_links() -> None:
    text = (
        f"See [the form]({SHOP}/form) or {SHOP}. Not [this](https://evil.example/?q=secret), nor"
        " ![image](https://evil.example/p.png), https://evil.example/x, <https://evil.example/y>,"
        " [a[b]c](https://evil.example/z), www.evil.example or [k](slack://settings)."
    )
    shown = harmless(text, links=frozenset({SHOP, f"{SHOP}/form"}))
    assert f"[the form]({SHOP}/form) or {SHOP}." in shown
    assert "](https://evil" not in shown
    assert "](slack" not in shown
    assert "<https" not in shown
    assert shown.count("`https://evil.example") == 5
    assert "`www.evil.example`" in shown


def test_an_address_ends_where_a_sentence_without_spaces_does() -> None:
    form, spoof = f"{SHOP}/form", "https://shop.example。evil.example/form"
    assert urls(f"请打开{form}。打印标签，寄回商品。") == {form}
    asked = f"请打开{form}，然后等待。"
    assert harmless(asked, links=frozenset({form})) == asked
    assert f"`{spoof}`" in harmless(f"或 {spoof}", links=frozenset({SHOP, form}))


def test_no_link_is_made_of_a_source_that_no_browser_opens() -> None:
    for source in ("javascript:alert(1)", "file:///etc/passwd", "", "returns.md", "https://a b"):
        passage = Passage(
            id="p", document="d", title="Title", text="", language="en", source=source
        )
        (body,) = bodies(Answer(text="So.", citations=(passage,)))
        assert body["blocks"][0]["text"].endswith(f"{say(Phrase.SOURCE, 'en')}: Title")


@settings(max_examples=300, deadline=None)
@given(text=st.text(min_size=1, max_size=3_000), limit=st.integers(60, 400))
def test_cutting_loses_nothing(text: str, limit: int) -> None:
    pieces = cut(text, limit)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


def test_cuts_fall_between_sentences_also_without_spaces() -> None:
    chinese = "您可以在三十天内退货。请保留收据。" * 50
    assert all(piece.endswith("。") for piece in cut(chinese, 100))
    english = "You can return it. Keep the receipt! " * 50
    assert all(piece.endswith(("it. ", "receipt! ")) for piece in cut(english, 100))
    code = "Do this:\n" + "word " * 15 + "\n```\n" + "run\n" * 10 + "```\n"
    assert cut(code, 100)[1].startswith("```")
    family = "👩‍👩‍👧‍👦" * 30
    assert all(not piece.startswith("\u200d") for piece in cut(family, 100))


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(min_size=1, max_size=2_000).map(lambda text: text * 9),
    choices=st.lists(st.text(min_size=1, max_size=200), max_size=30),
)
def test_slack_takes_whatever_is_rendered(text: str, choices: list[str]) -> None:
    team = FakeTeam("T1", token="")
    for outcome in (
        Answer(text=text, citations=(PASSAGE,)),
        Clarify(text=text, choices=tuple(choices)),
    ):
        for body in bodies(outcome):
            assert refusal(team, {"channel": "D0CUSTOMER", **body}) is None
            assert not pings(body)


def test_what_customers_write_is_read_as_they_saw_it() -> None:
    written = (
        "<@UBOT> ask <@U2|ann> in <#C1|general> &amp; see <https://a.example/x|a.example/x>,"
        " <https://b.example|the page>, <mailto:a@b.example|a@b.example> <!here> 1 &lt; 2"
        " &amp;lt;"
    )
    assert plain(written, bot_user="UBOT") == (
        "ask @ann in #general & see https://a.example/x, the page (https://b.example),"
        " a@b.example @here 1 < 2 &lt;"
    )


def test_bold_and_italics_are_read_without_their_signs() -> None:
    for written, shown in (
        ("*Please* send _both_ of them.", "Please send both of them."),
        ("*_both_* *see <https://a.example/_b_/c>*", "both see https://a.example/_b_/c"),
        (
            "__init__.py, snake_case, 2*3*4 and 5 * 3 *",
            "__init__.py, snake_case, 2*3*4 and 5 * 3 *",
        ),
        ("`*a*` ```\n_b_ <!here>```", "`*a*` ```\n_b_ @here```"),
        # Of a price that was struck out, the reader has to know.
        ("~9 €~ 8 €", "~9 €~ 8 €"),
        ("*a\nb*", "*a\nb*"),
    ):
        assert plain(written) == shown


def test_emoji_are_read_as_slack_spells_them_out() -> None:
    def section(*elements: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}
        ]

    blocks = section(
        {"type": "emoji", "name": "flag-de", "unicode": "1f1e9-1f1ea"},
        {"type": "emoji", "name": "wave", "unicode": "1f44b-1f3fc", "skin_tone": 3},
        {"type": "emoji", "name": "parrot"},
        {"type": "emoji", "name": "hash", "unicode": "23-fe0f-20e3"},
        *(
            {"type": "emoji", "name": "odd", "unicode": odd}
            for odd in ("110000", "d83d", "0", "3c-21", "-1", 7)
        ),
    )
    found = emoji_in(json.loads(json.dumps(blocks)))
    written = ":flag-de: :wave::skin-tone-3: :hash: :parrot: :odd: `:flag-de:` 12:30:45"
    assert plain(written, emoji=found) == "🇩🇪 👋🏼 #️⃣ :parrot: :odd: `:flag-de:` 12:30:45"
    assert emoji_in("none") == {}


def test_an_agents_words_stand_under_their_name_and_may_link() -> None:
    said = Words(text=f"Look at {SHOP} <!channel>", sender="Anna *<@U1>*")
    [body] = bodies(said, Owner.HUMAN)
    assert kinds(body) == ["markdown"]
    text = body["blocks"][0]["text"]
    assert SHOP in text
    assert f"`{SHOP}`" not in text
    assert pings(body) == []
    assert bodies(Words(text="", sender="Anna")) == []


def test_an_agents_words_are_shown_letter_by_letter() -> None:
    for said, markdown in (
        ("*Only* __init__.py, snake_case", r"\*Only\* \_\_init\_\_.py, snake_case"),
        ("2*3*4 ~ 24 [a] C:\\x_", r"2\*3\*4 \~ 24 \[a] C:\\x\_"),
        ("# 1\nTitle\n---\n#2 | 3\n|--|--|", "\\# 1\nTitle\n\\---\n#2 | 3\n\\|--|--|"),
        ("- one\n> two\n + three\n===", "- one\n> two\n + three\n==="),
        ("* *one*\n  * two * 3", "* \\*one\\*\n  * two \\* 3"),
        ("write &lt; & co", "write &amp;lt; & co"),
        ("`*a*` and ```\n_b_ # c\n```, `d", "`*a*` and ```\n_b_ # c\n```, \\`d"),
        (f"{SHOP}/_a_*b* {SHOP}[1]", f"{SHOP}/_a_*b* {SHOP}[1]"),
        (f"[the_ form_]({SHOP}/_f_)", f"[the_ form_]({SHOP}/_f_)"),
    ):
        [body] = bodies(Words(text=said))
        assert body["blocks"][0]["text"] == markdown
        assert body["text"] == escape(said)
    [body] = bodies(
        Words(text="So.", attachments=(Attachment(kind="file", ref="F1", name="__a__.py"),))
    )[:1]
    assert r"\_\_a\_\_.py" in body["blocks"][0]["text"]


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="*_~`[]()#-|<>!@& \\\nab\u200b", min_size=1, max_size=60))
def test_no_words_of_an_agent_notify_anybody(text: str) -> None:
    for body in bodies(Words(text=f"<!here> {text}")):
        assert not pings(body)


def test_files_keep_their_place_behind_the_first_message_however_long_the_words() -> None:
    sent = tuple(Attachment(kind="file", ref=f"F{number}", channel="slack") for number in range(2))

    def shape(text: str) -> list[str]:
        rendered = bodies(Words(text=text, attachments=sent))
        return ["file" if "file" in body else "words" for body in rendered]

    assert shape("short") == ["words", "file", "file"]
    assert shape("A sentence. " * 1_500) == ["words", "file", "file", "words"]


def test_the_question_how_it_was_has_five_buttons() -> None:
    [body] = bodies(Words(text="How was it?", asks_rating=True), Owner.CLOSED)
    [row] = [block for block in body["blocks"] if block["type"] == "actions"]
    values = [button["value"].partition(" ") for button in row["elements"]]
    assert [stars for stars, _, _ in values] == ["1", "2", "3", "4", "5"]
    assert {asked.isdigit() for _, _, asked in values} == {True}
