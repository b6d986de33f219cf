"""Which shard a document lies in, and which slice of a search finds it: the hashes of OpenSearch and Lucene."""

from __future__ import annotations

import base64
import re
import struct

MASK = 0xFFFFFFFF
SLICE_SEED = 7919
LAST_OF_TWO = frozenset("AQgw")
LAST_OF_THREE = frozenset("AEIMQUYcgkosw048")
BASE64 = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
NUMERIC, UTF8, ESCAPE = 0xFE, 0xFF, 0xFD


def murmur3(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 x86 32, as a signed number."""
    value, blocks = seed, len(data) // 4
    for block in struct.unpack_from(f"<{blocks}I", data):
        block = (block * 0xCC9E2D51) & MASK
        block = (((block << 15) | (block >> 17)) * 0x1B873593) & MASK
        value ^= block
        value = (((value << 13) | (value >> 19)) * 5 + 0xE6546B64) & MASK
    if rest := data[4 * blocks :]:
        value ^= _mixed(int.from_bytes(rest, "little"))
    value = mixed32(value ^ len(data))
    return value - (1 << 32) if value & 0x80000000 else value


def mixed32(value: int) -> int:
    """The last step of MurmurHash3, of an unsigned number."""
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & MASK
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & MASK
    return value ^ (value >> 16)


def _mixed(block: int) -> int:
    block = (block * 0xCC9E2D51) & MASK
    block = ((block << 15) | (block >> 17)) & MASK
    return (block * 0x1B873593) & MASK


def routing_shards(shards: int) -> int:
    """How many an index of so many shards could be split into: a document's hash is taken modulo this number."""
    return shards << max(1, 10 - (shards - 1).bit_length())


def shard_of(routing: str, shards: int, of: int | None = None) -> int:
    """`of` is index.number_of_routing_shards, where the index was made with one."""
    if shards == 1:
        return 0
    total = of or routing_shards(shards)
    return murmur3(routing.encode("utf-16-le", "surrogatepass")) % total // (total // shards)


def holds(number: int, count: int, shard: int, shards: int) -> tuple[int, int] | bool:
    """Whether slice `number` of `count` takes the shard: all, none, or the share (part, of how many) of its ids."""
    if count == 1:
        return True
    if count >= shards:
        if number % shards != shard:
            return False
        in_shard = count // shards + (1 if count % shards > shard else 0)
        return True if in_shard == 1 else (number // shards, in_shard)
    return shard % count == number


def in_share(id: str, share: tuple[int, int]) -> bool:
    part, parts = share
    return murmur3(term_of(id), SLICE_SEED) % parts == part


def term_of(id: str) -> bytes:
    """The bytes that stand for an id in the index."""
    if id.isascii() and id.isdigit():
        digits = [int(character) for character in id]
        digits += [0x0F] * (len(digits) % 2)
        return bytes([NUMERIC, *(high << 4 | low for high, low in zip(digits[::2], digits[1::2], strict=True))])
    if _is_base64(id):
        decoded = base64.urlsafe_b64decode(id + "=" * (-len(id) % 4))
        return bytes([ESCAPE]) + decoded if decoded and decoded[0] >= ESCAPE else decoded
    return bytes([UTF8]) + id.encode("utf-8", "surrogatepass")


def _is_base64(id: str) -> bool:
    rest = len(id) % 4
    if rest == 1 or not BASE64.fullmatch(id):
        return False
    return rest == 0 or id[-1] in (LAST_OF_TWO if rest == 2 else LAST_OF_THREE)
