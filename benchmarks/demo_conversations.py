"""Writes conversations of the demo company as a dataset of grounded replies.

Run: `python -m benchmarks.demo_conversations FOLDER`. From the articles and questions in
`examples/demo`: 300 conversations to train on, evenly over 8 languages, and others to measure on,
which ask other things about the same articles. The customer asks about a section or about one line
of it; the passage is shown beside another; the reply is the article's own sentences with their
source marks. What no article answers never reaches the model (`core/escalation.py`). Every run
writes the same rows.
"""

import random
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.adapters.documents import Document
from core.sentences import split as sentences
from core.turn import Author, Passage
from retrieval.loaders.files import read, sources
from retrieval.passages import split as passages
from retrieval.topics import topic
from workers.training.dataset.building import build
from workers.training.dataset.examples import Evidence, Reply, Said, to_json
from workers.training.dataset.folder import Dataset, Part
from workers.training.dataset.gathering import SourceRecipe
from workers.training.dataset.recipe import Recipe, Sample
from workers.training.dataset.splitting import Split

DEMO = Path(__file__).parents[1] / "examples" / "demo"
TRAIN = 300
_SPLIT = Split(dev=0.2, test=0.2)
_DISTRACTORS = 1
_MOST_LINES = 3
_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+")
_KEY = re.compile(r"([^:：]{2,60}?)\s?[:：]\s*(?=\S)")

# About a section of an article, and about one line of it.
_SECTION = {
    "en": ("{title}: {section}?", "Could you tell me about this: {section}? ({title})"),
    "de": ("{title}: {section}?", "Können Sie mir dazu etwas sagen: {section}? ({title})"),
    "fr": ("{title} : {section} ?", "Pouvez-vous me renseigner : {section} ? ({title})"),
    "es": ("{title}: ¿{section}?", "¿Me puede informar sobre esto: {section}? ({title})"),
    "pt": ("{title}: {section}?", "Pode me explicar isto: {section}? ({title})"),
    "zh": ("{title}：{section}？", "请问{section}是怎么规定的？（{title}）"),
    "ja": ("{title}：{section}？", "{section}について教えてください。（{title}）"),
    "ar": ("{title}: {section}؟", "هل يمكنكم إخباري عن: {section}؟ ({title})"),
}
_LINE = {
    "en": ("{section}: what applies to {key}?", "And what about {key}? ({title})"),
    "de": ("{section}: Was gilt für {key}?", "Und wie ist es bei {key}? ({title})"),
    "fr": ("{section} : qu'en est-il pour {key} ?", "Et pour {key} ? ({title})"),
    "es": ("{section}: ¿qué se aplica a {key}?", "¿Y en el caso de {key}? ({title})"),
    "pt": ("{section}: o que vale para {key}?", "E no caso de {key}? ({title})"),
    "zh": ("{section}：{key}怎么样？", "那么{key}呢？（{title}）"),
    "ja": ("{section}：{key}の場合は？", "{key}についてはどうですか。（{title}）"),
    "ar": ("{section}: ماذا عن {key}؟", "وماذا عن {key}؟ ({title})"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question, the passage that answers it, and the lines that do."""

    lang: str
    group: str
    question: str
    passage: Passage
    lines: tuple[str, ...] = ()


def conversations() -> list[Reply]:
    """All rows, in the order of the articles."""
    articles = _articles()
    exchanges = [one for found in articles.values() for one in _asked(found)]
    shelf: dict[str, list[Passage]] = defaultdict(list)
    for (lang, _), found in articles.items():
        shelf[lang] += found
    return [_row(exchanges, at, shelf) for at in range(len(exchanges))]


def write(folder: Path) -> Dataset:
    """Make the dataset in `folder`."""
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / "conversations.jsonl"
        path.write_bytes(b"".join(map(to_json, conversations())))
        recipe = Recipe(
            sources=(SourceRecipe(rows=path),),
            split=_SPLIT,
            # So warm that all languages are as frequent.
            sample=Sample(rows=TRAIN, temperature=1_000),
        )
        return build(recipe, folder, _quietly)


def _articles() -> dict[tuple[str, str], tuple[Passage, ...]]:
    """The passages by language and group; translations of an article are one group."""
    found: dict[tuple[str, str], tuple[Passage, ...]] = {}
    root = DEMO / "knowledge"
    for source in sources(root):
        for draft in read(source, root):
            document = Document(
                id=draft.id, title=draft.title, text=draft.text, language=draft.language
            )
            group = f"demo:{topic(draft.id, draft.language)}"
            found[draft.language, group] = passages(document)
    return found


def _asked(found: Sequence[Passage]) -> Iterator[Exchange]:
    """What a customer may ask about an article: each section, then lines of it."""
    for passage in found:
        lines = _lines(passage)
        group = f"demo:{topic(passage.document, passage.language)}"
        blank = Exchange(lang=passage.language, group=group, question="", passage=passage)
        if "#" in passage.document:
            yield replace(blank, question=passage.title, lines=lines)
            continue
        names = {"title": passage.title, "section": passage.heading.split(" › ")[-1]}
        if names["section"] != passage.title:
            form = _chosen(_SECTION[passage.language], passage.id)
            yield replace(blank, question=form.format(**names), lines=lines[:_MOST_LINES])
        for line in lines:
            key = _KEY.match(line)
            if key:
                form = _chosen(_LINE[passage.language], line)
                yield replace(blank, question=form.format(**names, key=key[1]), lines=(line,))


def _lines(passage: Passage) -> tuple[str, ...]:
    """The items of a list, and the sentences of what is none."""
    found: list[str] = []
    for line in passage.text.split("\n"):
        if _BULLET.match(line):
            found.append(_BULLET.sub("", line, count=1).strip())
        else:
            found += [sentence.strip() for sentence in sentences(line)]
    return tuple(filter(None, found))


def _row(exchanges: Sequence[Exchange], at: int, shelf: Mapping[str, Sequence[Passage]]) -> Reply:
    one = exchanges[at]
    chance = random.Random(one.question)
    others = [passage for passage in shelf[one.lang] if passage.document != one.passage.document]
    shown = chance.sample(others, min(_DISTRACTORS, len(others)))
    shown.insert(chance.randint(0, len(shown)), one.passage)
    return Reply(
        lang=one.lang,
        group=f"demo:{one.lang}:{one.question}",
        source="demo",
        licence="Apache-2.0",
        messages=(*_before(exchanges, at), _customer(one.question)),
        passages=tuple(
            Evidence(title=passage.title, heading=passage.heading, text=passage.text)
            for passage in shown
        ),
        reply=_reply(one, shown),
    )


def _before(exchanges: Sequence[Exchange], at: int) -> tuple[Said, ...]:
    """Every third conversation has asked about the same article before."""
    one, before = exchanges[at], exchanges[at - 1]
    if at % 3 or not at or before.group != one.group:
        return ()
    if before.lang != one.lang:
        return ()
    said = _joined(before.lines, one.lang)
    return _customer(before.question), Said(author=Author.BOT, text=said)


def _reply(one: Exchange, shown: Sequence[Passage]) -> str:
    mark = f"[{shown.index(one.passage) + 1}]"
    return " ".join(f"{_ended(line, one.lang)} {mark}" for line in one.lines)


def _joined(lines: Sequence[str], lang: str) -> str:
    return " ".join(_ended(line, lang) for line in lines)


def _ended(line: str, lang: str) -> str:
    """A list's item as a sentence."""
    if line[-1] in ".!?。！？؟…":
        return line
    return line + ("。" if lang in {"zh", "ja"} else ".")


def _customer(text: str) -> Said:
    return Said(author=Author.CUSTOMER, text=text)


def _chosen(forms: Sequence[str], key: str) -> str:
    return random.Random(key).choice(forms)


def _quietly(stage: str, done: int, total: int) -> None:
    """Show no progress: it takes seconds."""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.demo_conversations FOLDER")
    manifest = write(Path(sys.argv[1])).manifest
    for part in Part:
        print(f"{part}: {manifest.files[part].rows} rows", dict(manifest.languages[part]))
