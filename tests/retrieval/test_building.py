from pathlib import Path

import numpy as np

from core.adapters.documents import Document
from core.turn import WorkspaceId
from retrieval.building import Memory
from retrieval.knowledge import silent
from retrieval.snapshot import load
from retrieval.writing import write
from tests.fakes.encoder import FakeEncoder

SHOP = WorkspaceId("shop")
OLD = Document(id="old", title="Old", text="It is there. And it stays.", language="en")
NEW = Document(id="new", title="New", text="It is added.", language="en")


async def test_what_a_snapshot_has_is_not_read_into_memory_and_stays_bit_for_bit(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    first = Memory()
    cuts = first.cut_up([OLD], silent)
    await first.fill(cuts, encoder, silent)
    name = write(
        tmp_path, first.contents(cuts), workspace=SHOP, encoder=encoder.id, progress=silent
    )
    snapshot = load(tmp_path, name, workspace=SHOP, encoder=encoder.id)
    encoder.encoded.clear()

    memory = Memory()
    memory.learn(snapshot)
    cuts = memory.cut_up([NEW, OLD], silent)
    await memory.fill(cuts, encoder, silent)
    assert encoder.encoded == ["New", "New\nIt is added."]
    [shard], [content] = snapshot.shards, memory.contents(cuts)
    [kept] = [cut.encoded for cut in cuts if cut.encoded is not None]
    assert np.shares_memory(kept.whole, shard.vectors)
    assert np.shares_memory(kept.sentences, shard.sentences.vectors)
    assert np.array_equal(content.vectors[1], shard.vectors[0])
    assert np.array_equal(content.sentences.of(1), shard.sentences.of(0))
