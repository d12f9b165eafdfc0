"""What is put into an encrypted cache comes back, from its own place, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import CacheEntryError, CacheSecret, CacheSecretError
from atoma_confidential.blinding import padded_length
from atoma_confidential.cache_entries import CHECK, CacheEntries, is_entry_name
from atoma_local import encodings_of

SECRET = CacheSecret(bytes(range(32)))
OTHER = CacheSecret(bytes(32))
ENTRIES = SECRET.entries("vectors")

# With halves of surrogate pairs, which prompts may hold.
TEXTS = st.text() | st.text(st.characters())


@given(TEXTS, st.binary(max_size=2000), TEXTS)
def test_what_was_put_comes_back(key, value, namespace):
    entries = SECRET.entries(namespace)
    name = entries.name(key)
    assert is_entry_name(name)
    # Of another process, which has the same secret.
    assert SECRET.entries(namespace).open(name, entries.seal(key, value)) == (
        key,
        value,
    )


@given(st.binary(max_size=100), st.data())
def test_any_flipped_bit_is_refused(value, data):
    name, sealed = ENTRIES.name("k"), bytearray(ENTRIES.seal("k", value))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CacheEntryError):
        ENTRIES.open(name, bytes(sealed))


@given(st.binary(max_size=60))
def test_bytes_that_nobody_sealed_are_refused(sealed):
    for candidate in (sealed, b"\x01" + sealed):
        with pytest.raises(CacheEntryError):
            ENTRIES.open(ENTRIES.name("k"), candidate)


def test_every_proper_prefix_is_refused():
    sealed = ENTRIES.seal("k", b"value")
    for end in range(len(sealed)):
        with pytest.raises(CacheEntryError):
            ENTRIES.open(ENTRIES.name("k"), sealed[:end])


@pytest.mark.parametrize(
    ("elsewhere", "name"),
    [
        (ENTRIES, ENTRIES.name("other")),
        (ENTRIES, CHECK),
        (SECRET.entries("answers"), ENTRIES.name("k")),
        (SECRET.entries("answers"), SECRET.entries("answers").name("k")),
        (OTHER.entries("vectors"), ENTRIES.name("k")),
        (OTHER.entries("vectors"), OTHER.entries("vectors").name("k")),
    ],
)
def test_an_entry_that_was_moved_is_refused(elsewhere, name):
    with pytest.raises(CacheEntryError):
        elsewhere.open(name, ENTRIES.seal("k", b"value"))


def test_the_namespace_is_authenticated_as_well_as_derived_from(monkeypatch):
    # Were both keys one, as a future version might have them.
    monkeypatch.setattr(CacheEntries, "_derived", lambda *_: bytes(32))
    sealed = SECRET.entries("vectors").seal("k", b"value")
    with pytest.raises(CacheEntryError):
        SECRET.entries("answers").open(SECRET.entries("answers").name("k"), sealed)


@given(TEXTS, TEXTS)
def test_names_tell_keys_namespaces_and_secrets_apart(key, other):
    names = {ENTRIES.name(key), ENTRIES.name(other)}
    assert len(names) == len({key, other})
    assert SECRET.entries("answers").name(key) not in names
    assert OTHER.entries("vectors").name(key) not in names


def test_keys_for_names_and_values_differ():
    assert ENTRIES._naming != SECRET.entries("answers")._naming
    assert ENTRIES._naming not in {bytes(range(32)), ENTRIES._derived(b"", b"values")}
    assert ENTRIES._derived(b"x", b"names") != ENTRIES._derived(b"x", b"values")


def test_a_check_fits_its_own_secret_and_namespace_only():
    ENTRIES.verify(ENTRIES.check())
    for other in (OTHER.entries("vectors"), SECRET.entries("answers")):
        with pytest.raises(CacheSecretError, match="another secret"):
            other.verify(ENTRIES.check())
    for check in (b"", ENTRIES.seal(CHECK, b""), ENTRIES.check()[:-1]):
        with pytest.raises(CacheSecretError):
            ENTRIES.verify(check)


def test_what_is_stored_shows_neither_key_nor_value(canary):
    value = b'{"answer": "canary-heliotrope-answer"}'
    stored = ENTRIES.name(canary).encode() + ENTRIES.seal(canary, value)
    for text in (canary, "canary-heliotrope-answer", "vectors-of-a-namespace"):
        assert not any(pattern.data in stored for pattern in encodings_of(text))
    assert value not in stored


def test_equal_values_share_nothing_but_their_size():
    one, other = ENTRIES.seal("k", b"value"), ENTRIES.seal("k", b"value")
    assert one[1:13] != other[1:13]
    assert one[13:] != other[13:]
    assert len(one) == len(other)


def test_sizes_are_padme_sizes():
    around = 1 + 12 + 16  # version, nonce and tag
    sizes = {len(ENTRIES.seal("k", bytes(n))) - around for n in range(4000)}
    assert sizes == {padded_length(size) for size in sizes}
    assert len(sizes) < 100


def test_an_error_holds_no_content(canary):
    sealed = ENTRIES.seal(canary, canary.encode())
    with pytest.raises(CacheEntryError) as caught:
        ENTRIES.open(ENTRIES.name("k"), sealed)
    assert "Left the process: nothing" in str(caught.value)
    assert canary not in str(caught.value)
    assert caught.value.__cause__ is None
