"""Documents of reference values: only NVIDIA's, unchanged, read as they are meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from silicon import measurement, utc
from silicon_rim import DRIVER, OTHER, SWID, RimAuthority, content, golden, resource

from atoma_confidential.attestation._c14n import canonicalize
from atoma_confidential.attestation.rim import parse_rim
from atoma_confidential.errors import (
    ChainRejectedError,
    EvidenceFormatError,
    EvidenceSignatureError,
)

META = '<ns0:Meta colloquialVersion="1" edition="GPU" product="GH100"></ns0:Meta>'


@pytest.fixture
def read(signer):
    def read(document):
        return parse_rim(document, root=signer.fingerprint)

    return read


def test_a_document_says_which_digests_are_good(read, document):
    rim = read(document)
    assert (rim.product, rim.version) == ("GH100", DRIVER)
    assert dict(rim.values) == {
        1: {measurement(2)},
        2: {measurement(3)},
        4: {OTHER, measurement(5)},
    }
    assert (rim.begins, rim.ends) == (utc(2026).timestamp(), utc(2028).timestamp())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("></ns0:Meta>", "/>"),
        (' index="1" name="Measurement_1"', ' name="Measurement_1"  index="1"'),
        (' index="1"', " index='1'"),
        ('edition="GPU"', 'edition="&#71;PU"'),
        ("\n    <ns0:Meta", "\r\n    <ns0:Meta"),
        ("<ns0:Payload ", f'<ns0:Payload xmlns:ns0="{SWID}" '),
    ],
)
def test_how_it_is_written_does_not_matter(signer, read, old, new):
    head = content(DRIVER, golden(1))
    assert old in head
    changed = read(signer.sign(head, written=head.replace(old, new)))
    assert changed.values == read(signer.sign(head)).values


def test_what_follows_may_be_a_line_end(read, document):
    assert read(document + b"\n").values == read(document).values


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('active="False"', 'active="True"'),
        (DRIVER, "570.124.07"),
        ("GH100", "GB100"),
        ('"5703"', '"5704"'),
        ("Test &amp; Silicon", "Test Silicon"),
        ("\n    <ns0:Meta", "\n   <ns0:Meta"),
    ],
)
def test_what_it_says_does(read, document, old, new):
    assert old.encode() in document
    with pytest.raises(EvidenceSignatureError, match="not what was signed"):
        read(document.replace(old.encode(), new.encode(), 1))


def test_the_signature_is_the_signers(signer, read, document):
    head = content(DRIVER, golden(1))
    for signature in (bytes(96), bytes(95), b"\xff" * 96, b"\1" * 97):
        with pytest.raises(EvidenceSignatureError):
            read(signer.sign(head, signature=signature))
    begin = document.index(b"<ds:SignedInfo>")
    end = document.index(b"</ds:SignedInfo>")
    written = document[:begin] + b"<ds:SignedInfo>" + document[end:]
    with pytest.raises(EvidenceSignatureError, match="not what was signed"):
        read(written)


def test_the_root_is_pinned(signer, read, document):
    with pytest.raises(ChainRejectedError, match="another root"):
        parse_rim(document)
    with pytest.raises(ChainRejectedError, match="another root"):
        read(RimAuthority().document(DRIVER, golden(1)))


def test_the_chain_has_four_levels(signer, read):
    head = content(DRIVER, golden(1))
    ders = [issued.der for issued in signer.issued]
    with pytest.raises(ChainRejectedError, match="3 certificates where 4"):
        read(signer.sign(head, certificates=ders[1:]))
    with pytest.raises(ChainRejectedError, match=r"may not issue|its issuer"):
        read(signer.sign(head, certificates=[ders[0], *ders[:1], *ders[2:]]))
    with pytest.raises(EvidenceFormatError, match="form of a signed tag"):
        read(signer.sign(head, certificates=[]))


def test_a_signer_that_may_not_sign_is_refused():
    wrong = RimAuthority(usage="key_cert_sign")
    with pytest.raises(ChainRejectedError, match="not for signing"):
        parse_rim(wrong.document(DRIVER, golden(1)), root=wrong.fingerprint)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: '<?xml version="1.0"?>' + text,
        lambda text: "<!DOCTYPE SoftwareIdentity []>" + text,
        lambda text: "\n" + text,
    ],
)
def test_nothing_may_come_before(signer, read, change):
    with pytest.raises(EvidenceFormatError, match="form of a signed tag"):
        read(signer.sign(change(content(DRIVER, golden(1)))))


@pytest.mark.parametrize(
    "inserted",
    [
        "<!-- a comment -->",
        "<?a processing instruction?>",
        "<![CDATA[ ]]>",
        "&entity;",
        "<ns3:a></ns3:a>",
        '<a ns3:b=""></a>',
        '<a xml:lang="en"></a>',
        '<a xmlns:xml="urn:x"></a>',
        '<a xmlns:ns3=""></a>',
        '<a xmlns:ns3="urn:x" xmlns:ns4="urn:x" ns3:b="" ns4:b=""></a>',
        '<a b="" b=""></a>',
        "<a>",
        "</a>",
        "<a>" * 20 + "</a>" * 20,
        "\x00",
        "\ufffe",
        "</SoftwareIdentity><SoftwareIdentity>",
    ],
)
def test_xml_that_no_document_needs_is_refused(signer, read, inserted):
    head = content(DRIVER, golden(1)) + inserted
    with pytest.raises(EvidenceFormatError):
        read(signer.sign(head))


@pytest.mark.parametrize(
    "subset",
    [
        '<!DOCTYPE SoftwareIdentity [<!ENTITY a "b">]>',
        '<!DOCTYPE SoftwareIdentity SYSTEM "file:///etc/passwd">',
        '<?xml version="1.0" encoding="utf-16"?>',
    ],
)
def test_a_document_type_is_refused_before_anything_is_expanded(subset):
    with pytest.raises(EvidenceFormatError):
        canonicalize(subset.encode() + b"<SoftwareIdentity />")


@pytest.mark.parametrize(
    "text",
    [
        # Canonical would be another name: with the first, a declaration.
        '<a xmlns:x="u" :xmlns:y="v"></a>',
        "<:a></:a>",
        '<a b:="1"></a>',
        '<a xmlns:x="u" x:y:z="1"></a>',
        '<a xmlns:="u"></a>',
    ],
)
def test_names_have_at_most_one_colon_and_something_on_each_side(text):
    with pytest.raises(EvidenceFormatError):
        canonicalize(text.encode())


def test_text_that_is_not_utf_8_is_refused(read, document):
    with pytest.raises(EvidenceFormatError):
        read(document.replace(b"Test &amp; Silicon", b"\xff", 1))


@pytest.mark.parametrize(
    "resources",
    [
        "",
        resource(1),
        resource(1, OTHER) * 2,
        resource(64, OTHER),
        resource(-1, OTHER),
        resource("one", OTHER),
        resource("\u0661", OTHER),
        resource(1, OTHER[1:]),
        resource(1, OTHER, active="Yes"),
        resource(1, OTHER, alternatives=2),
        resource(1, OTHER, size=32),
        resource(1, OTHER, type="Other"),
        resource(1, OTHER).replace("ns2:Hash0", "ns2:Hash1"),
        resource(1, OTHER).replace('ns2:Hash0="0', 'ns2:Hash0="g'),
        resource(1, active=True, alternatives=0).replace(
            f' ns2:Hash0="{"00" * 48}"', ""
        ),
        META,
        resource(1, OTHER) + META,
    ],
)
def test_values_off_their_form_are_refused_though_signed(signer, read, resources):
    with pytest.raises(EvidenceFormatError):
        read(signer.document(DRIVER, {}, resources=resources))


def test_values_of_something_else_are_refused(signer, read):
    with pytest.raises(EvidenceFormatError, match="not of a GPU"):
        read(signer.document(DRIVER, golden(1), edition="SWITCH"))
    head = content(DRIVER, golden(1)).replace(' xmlns:ns0="', ' xmlns:ns0="urn:', 1)
    with pytest.raises(EvidenceFormatError, match="other namespaces"):
        read(signer.sign(head))


def test_a_large_document_is_refused(read, document):
    with pytest.raises(EvidenceFormatError, match="too large"):
        read(document.ljust((1 << 20) + 1))


@pytest.mark.parametrize("inserted", [b"=", b"====", b"A", b" "])
def test_base64_is_strict(read, document, inserted):
    for tag in (b"<ds:SignatureValue>", b"<ds:X509Certificate>"):
        with pytest.raises(EvidenceFormatError):
            read(document.replace(tag, tag + inserted, 1))


def test_every_proper_prefix_is_refused(read, document):
    for length in range(len(document)):
        with pytest.raises(EvidenceFormatError):
            read(document[:length])


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    for document in (noise, b"<SoftwareIdentity " + noise):
        with pytest.raises(EvidenceFormatError):
            parse_rim(document)


@given(
    st.text(
        st.sampled_from("<>/='\"& \n:abcxmlnsé!-[]?#;0"),
        max_size=40,
    )
)
def test_canonical_is_what_stays_the_same(text):
    try:
        once = canonicalize(f'<a xmlns:b="urn:x">{text}</a>'.encode())
    except EvidenceFormatError:
        return
    assert canonicalize(once) == once
