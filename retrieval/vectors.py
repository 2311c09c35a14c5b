"""The FAISS index of one language's passages."""

import math
from enum import StrEnum
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import Vectors

# Up to here an exact scan takes a few milliseconds and needs no tuning.
FLAT_UP_TO = 100_000
# A graph of more would take over an hour to build on two cores, and twice the vectors' memory.
GRAPH_UP_TO = 500_000
GRAPH_NEIGHBOURS = 32
GRAPH_SEARCH_WIDTH = 128
# Cells that a search looks into, of about 2·√n; and the candidates it then compares exactly.
PROBED_CELLS = 32
RESCORED = 400
# One thread a search: replies run side by side, and torch has threads of its own.
SEARCH_THREADS = 1

Rows = NDArray[np.int64]


class Form(StrEnum):
    """How the vectors are laid out, chosen by their number alone."""

    FLAT = "flat"
    GRAPH = "hnsw"
    CELLS = "ivfpq"


def form_for(count: int) -> Form:
    """Exact while that is fast, a graph while it can be built, compressed cells beyond."""
    if count <= FLAT_UP_TO:
        return Form.FLAT
    return Form.GRAPH if count <= GRAPH_UP_TO else Form.CELLS


def build(vectors: Vectors, form: Form) -> faiss.Index:
    """Index the rows of `vectors` under their row numbers."""
    index = _empty(vectors, form)
    # A memory-mapped array is read in slices, so that it is never whole in memory.
    for start in range(0, len(vectors), 65_536):
        index.add(np.ascontiguousarray(vectors[start : start + 65_536]))
    return index


def _empty(vectors: Vectors, form: Form) -> faiss.Index:
    """An index that only has to be filled; the vectors teach it where its cells lie."""
    count, dim = vectors.shape
    if form is Form.FLAT:
        return faiss.IndexFlatIP(dim)
    if form is Form.GRAPH:
        graph = faiss.IndexHNSWFlat(dim, GRAPH_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = 80
        graph.hnsw.efSearch = GRAPH_SEARCH_WIDTH
        return graph
    cells = round(2 * math.sqrt(count))
    coarse = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFPQ(coarse, dim, cells, _parts(dim), 8, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = PROBED_CELLS
    index.cp.max_points_per_centroid = 64
    index.cp.niter = 8
    chosen = np.random.default_rng(0).choice(count, min(count, 64 * cells), replace=False)
    index.train(vectors[np.sort(chosen)])
    return index


def _parts(dim: int) -> int:
    """Bytes that a compressed vector takes: a divisor of the dimension, at most a quarter."""
    return max(part for part in range(1, max(dim // 4, 1) + 1) if dim % part == 0)


def save(index: faiss.Index, path: Path) -> None:
    """Write an index to a new file.

    Raises: OSError: the disk is full or not writable.
    """
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"{path.name} cannot be written") from error


def load(path: Path) -> faiss.Index:
    """Read an index whose checksum was found right; one at a time, for FAISS's limit is global.

    Raises: ValueError: FAISS cannot read it.
    """
    # FAISS's own limit on one array is a terabyte.
    faiss.set_deserialization_vector_byte_limit(4 * path.stat().st_size + 1_000_000)
    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path.name} is no readable FAISS index") from error


def nearest(
    index: faiss.Index, vectors: Vectors, question: Vectors, limit: int
) -> tuple[Rows, Vectors]:
    """Row numbers with their cosines to `question` (dim,), best first.

    `vectors` are the indexed rows, to compare exactly where the index has only compressed ones.
    """
    faiss.omp_set_num_threads(SEARCH_THREADS)
    wanted = max(limit, RESCORED) if isinstance(index, faiss.IndexIVF) else limit
    cosines, rows = index.search(question[None, :], min(wanted, index.ntotal))
    found: Rows = rows[0]
    scores: Vectors = cosines[0]
    # FAISS fills up with -1 where a graph or the probed cells hold too few.
    there = found >= 0
    found, scores = found[there], scores[there]
    if isinstance(index, faiss.IndexIVF):
        scores = vectors[found] @ question
        order = np.argsort(-scores, kind="stable")[:limit]
        found, scores = found[order], scores[order]
    return found, scores
