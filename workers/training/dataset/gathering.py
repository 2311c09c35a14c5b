"""Reads the rows that a recipe names, one source after the other."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.adapters.database import open_database
from core.errors import Rejected
from core.turn import WorkspaceId
from workers.evaluation.files import stream
from workers.training.dataset import conversations, knowledge, public
from workers.training.dataset.examples import Example, parse
from workers.training.dataset.licences import OWN, spdx
from workers.training.dataset.pointing import pointed
from workers.training.dataset.splitting import place


class SourceRecipe(BaseModel):
    """One place that rows come from; exactly one of the first four says which.

    `database` is a URL, in which $NAME stands for a variable of the environment; `after` leaves
    out older conversations, in seconds since 1970. `knowledge` is a folder of articles, `rows` a
    file in the form of `examples.py`, `public` a folder in the form of `public.py`. `share` keeps
    so many of the groups; `licence` is that of the knowledge. With `pointing`, translations become
    replies that point at sentences (`pointing.py`). `draws` is how often each question of an
    article is put among other passages (`support.py`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = ""
    knowledge: Path | None = None
    rows: Path | None = None
    public: Path | None = None

    workspace: str = "default"
    after: float = 0.0
    sets: tuple[str, ...] = ()
    licence: str = OWN
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    pointing: bool = False
    draws: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        named = [self.database, self.knowledge, self.rows, self.public]
        if sum(map(bool, named)) != 1:
            raise ValueError("name one of database, knowledge, rows and public")
        if bool(self.sets) != bool(self.public):
            raise ValueError(f"public needs sets: {', '.join(public.SETS)}")
        if self.draws > 1 and not self.public:
            raise ValueError("draws: is about the questions of a public set; leave it out")
        unknown = [name for name in self.sets if name not in public.SETS]
        if unknown:
            raise ValueError(f"no set is called {unknown[0]}; there are {', '.join(public.SETS)}")
        return self


def gather(source: SourceRecipe) -> Iterator[Example]:
    """The rows of one source as they stand there.

    Raises:
        Rejected: a file or folder is wrong; names it.
        Misconfigured, Unavailable: the database's URL is wrong, or it does not answer.
    """
    share = source.share
    rows = (row for row in _all(source) if share == 1 or place(row.group, "share") < share)
    yield from pointed(rows) if source.pointing else rows


def _all(source: SourceRecipe) -> Iterator[Example]:
    if source.database:
        with asyncio.Runner() as runner:
            yield from runner.run(_conversations(source))
    elif source.knowledge is not None:
        yield from knowledge.read(source.knowledge, spdx(source.licence))
    elif source.rows is not None:
        yield from stream(source.rows, parse)
    elif source.public is not None:
        for name in source.sets:
            yield from public.read(source.public, name, source.draws)


async def _conversations(source: SourceRecipe) -> list[Example]:
    url = os.path.expandvars(source.database)
    if "$" in url:
        raise Rejected(f"database: {url} names a variable that the environment does not have")
    async with open_database(url) as database:
        return await conversations.read(database, WorkspaceId(source.workspace), after=source.after)
