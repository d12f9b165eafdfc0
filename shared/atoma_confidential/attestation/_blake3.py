"""BLAKE3 of at most one chunk: the hash behind a node's report nonce.

The preimage hashed here has 42 bytes, so the tree mode, keyed mode and extended
output of BLAKE3 are left out rather than carried along untested. Not constant time:
everything hashed here is public.
"""

__all__ = ["MAX_INPUT", "blake3"]

MAX_INPUT = 1024  # one chunk; above it BLAKE3 becomes a tree

_BLOCK = 64
_MASK = 0xFFFFFFFF
_CHUNK_START, _CHUNK_END, _ROOT = 1, 2, 8
_IV = (
    *(0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A),
    *(0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19),
)
_ROUNDS = 7
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_COLUMNS_THEN_DIAGONALS = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)


def blake3(data: bytes) -> bytes:
    """Return the 32-byte BLAKE3 digest of up to `MAX_INPUT` bytes.

    Raises:
        ValueError: `data` is longer than one chunk.
    """
    if len(data) > MAX_INPUT:
        raise ValueError(f"more than {MAX_INPUT} bytes need BLAKE3's tree mode")
    chaining: tuple[int, ...] = _IV
    last = max(len(data) - 1, 0) // _BLOCK * _BLOCK
    for start in range(0, last + 1, _BLOCK):
        flags = _CHUNK_START if start == 0 else 0
        flags |= _CHUNK_END | _ROOT if start == last else 0
        chaining = _compress(chaining, data[start : start + _BLOCK], flags)
    return b"".join(word.to_bytes(4, "little") for word in chaining)


def _compress(chaining: tuple[int, ...], block: bytes, flags: int) -> tuple[int, ...]:
    """The compression function, truncated to 256 bits (BLAKE3 paper, section 2.2)."""
    padded = block.ljust(_BLOCK, b"\0")
    words = [int.from_bytes(padded[i : i + 4], "little") for i in range(0, _BLOCK, 4)]
    # The chunk counter, words 12 and 13, is 0: there is only one chunk.
    state = [*chaining, *_IV[:4], 0, 0, len(block), flags]
    for _ in range(_ROUNDS):
        for pair, lane in enumerate(_COLUMNS_THEN_DIAGONALS):
            _mix(state, lane, words[2 * pair], words[2 * pair + 1])
        words = [words[i] for i in _PERMUTATION]
    return tuple(state[i] ^ state[i + 8] for i in range(8))


def _mix(state: list[int], lane: tuple[int, int, int, int], x: int, y: int) -> None:
    """The quarter-round G, on four words of the state in place."""
    a, b, c, d = lane
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        state[a] = (state[a] + state[b] + word) & _MASK
        state[d] = _rotate_right(state[d] ^ state[a], first)
        state[c] = (state[c] + state[d]) & _MASK
        state[b] = _rotate_right(state[b] ^ state[c], second)


def _rotate_right(word: int, bits: int) -> int:
    return (word >> bits | word << (32 - bits)) & _MASK
