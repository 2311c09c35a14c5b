"""Writes fourteen days of the demo company's conversations into a workspace, for a night to learn.

Run: `python -m benchmarks.night_conversations` on the data folder of the settings, which must know
the demo company's articles (`dragoman ask hello` loads them), then `python -m dragoman.night run`.
Each question of `examples/night` is asked by a customer of its own, on one of the days; the bot
handed it over, and an agent answered in the desk's language. Nothing is written twice.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from core.adapters.database import open_database
from core.adapters.tables import conversations, handoffs, messages
from dragoman.settings import Settings

QUESTIONS = Path(__file__).parents[1] / "examples" / "night" / "questions.jsonl"
DAYS = 14
_DAY_S = 86_400.0
_HANDED_OVER = json.dumps({"outcome": "handoff", "reason": "low_confidence", "citations": []})

Row = Mapping[str, str]


def write(connection: Connection, workspace: str, rows: Sequence[Row], now: float) -> int:
    """One conversation a row; how many were not there yet."""
    of = conversations.c.workspace == workspace
    known = set(connection.scalars(select(conversations.c.place).where(of)))
    new = [(f"night-{number}", row) for number, row in enumerate(rows)]
    new = [(place, row) for place, row in new if place not in known]
    for number, (place, row) in enumerate(new):
        _write_one(connection, workspace, place, row, now - _DAY_S * (1 + number % DAYS))
    return len(new)


def _write_one(connection: Connection, workspace: str, place: str, row: Row, at: float) -> None:
    values: dict[str, Any] = {"workspace": workspace, "channel": "web", "place": place}
    values |= {"customer": place, "language": row["lang"], "created_at": at}
    made = connection.execute(insert(conversations).values(**values).returning(conversations.c.id))
    shared = {"workspace": workspace, "conversation_id": made.scalar_one()}
    said = (
        ("customer", row["query"], row["lang"], "{}"),
        ("bot", "A person will answer.", row["lang"], _HANDED_OVER),
        ("agent", row["answer"], "en", "{}"),
    )
    for second, (author, text, language, details) in enumerate(said):
        line = {"author": author, "text": text, "language": language, "details": details}
        connection.execute(insert(messages).values(**shared, **line, created_at=at + second))
    case = {"reason": "low_confidence", "customer_language": row["lang"], "opened_at": at + 1}
    connection.execute(insert(handoffs).values(**shared, **case, ended_at=at + 3))


async def main() -> None:
    """Write what is not there yet."""
    settings = Settings()
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    async with open_database(settings.database) as database:
        count = await database.write(lambda c: write(c, settings.workspace, rows, time.time()))
    print(f"{count} conversations written", file=sys.stderr)


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main())
