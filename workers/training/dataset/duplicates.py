"""Finds rows that say the same, to the letter or nearly.

Near duplicates are found by MinHash over character shingles (Broder, 1997) and locality-sensitive
hashing. Candidates are compared with the first row of their bucket and with their neighbour in it,
so that time and memory grow with the number of rows only.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from workers.training.dataset.examples import Example
from workers.training.dataset.texts import asked, learnt, plain

Signatures = NDArray[np.uint32]
Numbers = NDArray[np.int64]

HASHES, BANDS = 64, 16
"""At a likeness of 0.8 a pair shares a band of 4 with probability 0.9998; at 0.4, with 0.34."""

_SHINGLE = 5
# A script of three bytes a letter says more with each of them.
_SHINGLE_WIDE = 3
_BATCH = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Rows that nearly ask the same: `later[i]` is like the earlier row `first[i]`."""

    first: Numbers
    later: Numbers


def fingerprint(*parts: str) -> int:
    """A 64-bit hash of texts, which differ in more than case, spaces or punctuation."""
    digest = blake2b("\x00".join(map(plain, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def row_fingerprint(row: Example) -> int:
    """The fingerprint of all that a row teaches."""
    return fingerprint(row.kind, row.lang, asked(row), learnt(row))


@cache
def _blank() -> MinHash:
    return MinHash(num_perm=HASHES, hashfunc=zlib.crc32, scheme="affine32")


def signature(text: str) -> Signatures:
    """The MinHash signature of a text, uint32 (HASHES,)."""
    signed = _blank().copy()
    signed.update_batch(_shingles(plain(text)))
    values: Signatures = signed.hashvalues
    return values


def near_pairs(signed: Signatures, languages: Numbers, likeness: float) -> Pairs:
    """Pairs of rows of one language whose texts share `likeness` of their shingles (Jaccard).

    `signed` is uint32 (n, HASHES), `languages` a number for each row.
    """
    found = [np.empty((0, 2), np.int64)]
    for band in np.split(signed, BANDS, axis=1):
        for candidates in _neighbours(_keys(band, languages)):
            found.append(candidates[_alike(signed, candidates) >= likeness])
    pairs = np.unique(np.concatenate(found), axis=0)
    return Pairs(first=pairs[:, 0], later=pairs[:, 1])


def components(count: int, first: Numbers, second: Numbers) -> Numbers:
    """A number for each of `count` things, the same for those that pairs tie together."""
    ties = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    found: Numbers = connected_components(ties, directed=False)[1].astype(np.int64)
    return found


def _keys(band: Signatures, languages: Numbers) -> NDArray[np.uint64]:
    """A 64-bit hash of each row's band and language."""
    keys = languages.astype(np.uint64)
    for column in band.T:
        # The multiplier is that of splitmix64; the product wraps around.
        keys = (keys ^ column) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys


def _neighbours(keys: NDArray[np.uint64]) -> Iterator[Numbers]:
    """Pairs of rows with equal keys, int64 (n, 2): each with the bucket's first, and the last."""
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    at = np.flatnonzero(same) + 1
    places = np.arange(len(keys))
    starts = np.maximum.accumulate(np.where(np.r_[False, same], 0, places))
    for others in (starts[at], at - 1):
        yield np.stack([order[others], order[at]], axis=1)


def _alike(signed: Signatures, pairs: Numbers) -> NDArray[np.float64]:
    """The share of equal hashes, which estimates the Jaccard likeness within 0.05."""
    parts = [
        np.mean(signed[part[:, 0]] == signed[part[:, 1]], axis=1)
        for part in np.array_split(pairs, len(pairs) // _BATCH + 1)
    ]
    return np.concatenate(parts)


def _shingles(text: str) -> set[bytes]:
    wide = len(text.encode()) > 2.5 * len(text)
    size = _SHINGLE_WIDE if wide else _SHINGLE
    return {text[at : at + size].encode() for at in range(max(1, len(text) - size + 1))}
