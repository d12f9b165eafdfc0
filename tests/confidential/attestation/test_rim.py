"""Reference values: NVIDIA's own and unchanged, and what a GPU has to measure."""

from dataclasses import replace

import pytest
from appraisal import KEY, appraise, record
from hypothesis import given
from hypothesis import strategies as st
from silicon import NOW, measurement, pack, utc
from silicon_rim import SWID, RimAuthority, content, golden, resource

from atoma_confidential import TrustPolicy
from atoma_confidential.attestation._c14n import canonicalize
from atoma_confidential.attestation.evidence import report_nonce
from atoma_confidential.attestation.result import NEVER_PROVEN, OpenPoint
from atoma_confidential.attestation.rim import load_rims, parse_rim
from atoma_confidential.errors import (
    ChainRejectedError,
    EvidenceFormatError,
    EvidenceSignatureError,
    EvidenceUnavailableError,
    InvalidInputError,
    MeasurementMismatchError,
)

DRIVER, VBIOS = "570.124.06", "96.00.BC.00.02"
OTHER = bytes(48)
META = '<ns0:Meta colloquialVersion="1" edition="GPU" product="GH100"></ns0:Meta>'


@pytest.fixture(scope="session")
def signer():
    return RimAuthority(years=(2026, 2028))


@pytest.fixture
def read(signer):
    def read(document):
        return parse_rim(document, root=signer.fingerprint)

    return read


@pytest.fixture
def document(signer):
    return signer.document(DRIVER, golden(1, 2) | {3: (), 4: (OTHER, measurement(5))})


# --- reading ------------------------------------------------------------------------


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


# --- where they come from -----------------------------------------------------------


@pytest.fixture
def trusted(signer, monkeypatch):
    """Let the test authority be NVIDIA's for whole policies."""
    monkeypatch.setattr(
        "atoma_confidential.attestation.rim.parse_rim",
        lambda document: parse_rim(document, root=signer.fingerprint),
    )


def test_a_folder_is_read_at_once(trusted, signer, tmp_path):
    (tmp_path / "driver.xml").write_bytes(signer.document(DRIVER, golden(1)))
    (tmp_path / "vbios.swidtag").write_bytes(signer.document(VBIOS, golden(2)))
    (tmp_path / "notes.txt").write_text("not one of them")
    for folder in (tmp_path, str(tmp_path)):
        assert {rim.version for rim in load_rims(folder)} == {DRIVER, VBIOS}


def test_or_documents_are_given(trusted, document):
    (rim,) = load_rims(document)
    assert load_rims([document, document]) == (rim, rim)


def test_no_values_are_no_values(tmp_path):
    for source in (tmp_path, tmp_path / "absent", []):
        with pytest.raises(InvalidInputError):
            TrustPolicy.nvidia_offline(nonce=7, rims=source)


def test_what_is_not_nvidias_is_named(document, tmp_path):
    (tmp_path / "driver.xml").write_bytes(document)
    with pytest.raises(ChainRejectedError, match=r"Reference values driver\.xml: "):
        TrustPolicy.nvidia_offline(nonce=7, rims=tmp_path)
    with pytest.raises(EvidenceFormatError, match="Reference values 1: "):
        load_rims([b"<html>", document])


# --- comparing ----------------------------------------------------------------------


@pytest.fixture
def measured(trusted, authority, signer):
    """Appraise one GPU, or two, under reference values."""

    def measured(driver=None, vbios=None, *, opaque=None, chips=1, now=NOW, **options):
        documents = [
            signer.document(version, values)
            for version, values in (
                (DRIVER, golden(0, 1) if driver is None else driver),
                (VBIOS, golden(2, 3) if vbios is None else vbios),
            )
            if values
        ]
        policy = TrustPolicy.nvidia_offline(nonce=7, rims=documents, **options)
        policy = replace(policy, root=authority.fingerprint)
        signed = report_nonce(7, KEY)
        data = pack(
            [
                authority.chip(number=number).entry(signed, opaque=opaque)
                for number in range(1, chips + 1)
            ]
        )
        return appraise(policy, lambda _: record(data), now=now)

    return measured


def outcomes(result):
    return {check.name: str(check.outcome) for check in result.checks}


def test_gpus_that_match_are_measured(measured):
    result = measured(chips=2)
    assert result.assurance == "gpu_witnessed_measured"
    # Of developer mode, sources say both that it would show and that it would not.
    assert result.not_proven == (
        *NEVER_PROVEN,
        OpenPoint.NODE_KEY,
        OpenPoint.GPU_MODE,
    )
    assert OpenPoint.FIRMWARE not in result.not_proven
    assert outcomes(result)["measurements"] == "passed"
    assert outcomes(result)["revocation"] == "skipped"
    assert "reference signers" not in outcomes(result)
    assert result.expires_at == NOW + 3600


def test_any_alternative_may_match(measured):
    measured({1: (OTHER, measurement(2))})


@pytest.mark.parametrize("source", ["driver", "vbios"])
def test_one_that_differs_does_not(measured, source):
    with pytest.raises(MeasurementMismatchError, match="at index 5"):
        measured(**{source: golden(7) | {5: (OTHER,)}})


def test_one_that_is_missing_does_not(measured, authority, signer, trusted):
    policy = TrustPolicy.nvidia_offline(
        nonce=7,
        rims=[signer.document(DRIVER, golden(63)), signer.document(VBIOS, golden(0))],
    )
    policy = replace(policy, root=authority.fingerprint)
    values = {index: measurement(index) for index in range(1, 64)}
    entry = authority.chip().entry(report_nonce(7, KEY), measurements=values)
    with pytest.raises(MeasurementMismatchError, match="at index 63"):
        appraise(policy, lambda _: record(pack([entry])))


def test_two_sources_for_one_index_are_a_conflict(measured):
    with pytest.raises(MeasurementMismatchError, match=r"two sources .* index 1"):
        measured(golden(0, 1), golden(1, 2))


def test_an_engine_that_is_off_is_not_compared(measured):
    off, on = {11: b"\x55"}, {11: b"\xaa"}
    measured(golden(1) | {35: (OTHER,)}, opaque=off)
    measured(golden(1, 35), opaque=on)
    for opaque in (on, {11: None}):
        with pytest.raises(MeasurementMismatchError, match="at index 35"):
            measured(golden(1) | {35: (OTHER,)}, opaque=opaque)


@pytest.mark.parametrize(
    ("missing", "named"), [("driver", DRIVER), ("vbios", VBIOS.replace(".", r"\."))]
)
def test_without_values_for_this_version_nothing_can_be_checked(
    measured, missing, named
):
    with pytest.raises(
        EvidenceUnavailableError, match=f"no reference values .*{named}"
    ):
        measured(**{missing: {}})


def test_values_of_another_product_do_not_count(trusted, authority, signer, measured):
    documents = [
        signer.document(DRIVER, golden(0), product="GB100"),
        signer.document(VBIOS, golden(1)),
    ]
    policy = TrustPolicy.nvidia_offline(nonce=7, rims=documents)
    policy = replace(policy, root=authority.fingerprint)
    data = pack([authority.chip().entry(report_nonce(7, KEY))])
    with pytest.raises(EvidenceUnavailableError, match="of GH100"):
        appraise(policy, lambda _: record(data))


def test_several_documents_of_one_version_are_alternatives(trusted, authority, signer):
    documents = [
        signer.document(DRIVER, golden(0)),
        signer.document(VBIOS, {1: (OTHER,)}),
        signer.document(VBIOS, golden(1)),
    ]
    policy = TrustPolicy.nvidia_offline(nonce=7, rims=documents)
    policy = replace(policy, root=authority.fingerprint)
    data = pack([authority.chip().entry(report_nonce(7, KEY))])
    result = appraise(policy, lambda _: record(data))
    assert result.assurance == "gpu_witnessed_measured"


def test_a_result_ends_with_the_signers_of_its_values(measured):
    ends = utc(2028).timestamp()
    assert measured(now=ends - 60).expires_at == ends


@pytest.mark.parametrize("now", [utc(2028).timestamp() + 1, utc(2026).timestamp() - 1])
def test_values_of_an_expired_signer_are_refused_unless_allowed(measured, now):
    with pytest.raises(ChainRejectedError, match="was until 2028-01-01"):
        measured(now=now)
    result = measured(now=now, allow_expired_rims=True)
    assert result.assurance == "gpu_witnessed_measured"
    assert outcomes(result)["reference signers"] == "skipped"
    assert result.expires_at == now + 3600


def test_policies_with_other_values_are_others(trusted, signer, document):
    one = TrustPolicy.nvidia_offline(nonce=7, rims=document)
    other = TrustPolicy.nvidia_offline(nonce=7, rims=signer.document(VBIOS, golden(1)))
    lenient = TrustPolicy.nvidia_offline(
        nonce=7, rims=document, allow_expired_rims=True
    )
    assert len({p.identity for p in (one, other, lenient)}) == 3
    assert len({one, other, lenient}) == 3
