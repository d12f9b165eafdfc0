"""Writes reference measurements as NVIDIA publishes them, signed by a test authority.

The text is written in canonical form, so that what is signed is cut out of it and not
computed: nothing here knows how to canonicalise.
"""

import base64
import hashlib

from silicon import Issued, measurement, raw

SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
C14N = "http://www.w3.org/2006/12/xml-c14n11"
SHA384 = "http://www.w3.org/2001/04/xmlenc#sha384"
TCG = (
    "https://trustedcomputinggroup.org/resource/"
    "tcg-reference-integrity-manifest-rim-information-model/"
)
# The versions that a document is of: of a driver, and of a VBIOS.
DRIVER, VBIOS = "570.124.06", "96.00.BC.00.02"
OTHER = bytes(48)  # a digest that no chip measures
NAMES = {"": SWID, "ds": DSIG, "ns0": SWID, "ns2": SHA384}


class RimAuthority:
    """The root of reference values, and the three levels that sign under it."""

    def __init__(self, **leaf):
        self.root = Issued("Test CoRIM signing Root CA")
        product = Issued("Test Reference Value CA", self.root)
        issuer = Issued("Test Reference Value L3", product, path_length=0)
        options = {"ca": False, "usage": "digital_signature"} | leaf
        self.signer = Issued("Test RIM Signer", issuer, **options)
        self.issued = [self.signer, issuer, product, self.root]
        self.fingerprint = self.root.fingerprint

    def document(self, version, values, *, change=lambda text: text, **options):
        """Return a signed document; `change` applies to what is signed."""
        return self.sign(change(content(version, values, **options)))

    def sign(self, head, *, certificates=None, signature=None, written=None):
        """Sign the text of a tag that ends with its payload."""
        digest = hashlib.sha384(f"{head}</SoftwareIdentity>".encode()).digest()
        shown = "".join(
            f' xmlns{":" if prefix else ""}{prefix}="{uri}"'
            for prefix, uri in NAMES.items()
        )
        # Canonical is without empty-element tags.
        signed = info(digest).replace("<ds:SignedInfo", f"<ds:SignedInfo{shown}")
        for name in ("Canonicalization", "Signature", "Digest"):
            signed = closed(signed, f"ds:{name}Method")
        signed = closed(signed, "ds:Transform")
        if signature is None:
            signature = raw(self.signer.key, signed.encode())
        ders = [issued.der for issued in self.issued]
        chain = "".join(
            f"<ds:X509Certificate>{lines(der)}\n</ds:X509Certificate>"
            for der in (ders if certificates is None else certificates)
        )
        return (
            f'{written or head}<ds:Signature xmlns:ds="{DSIG}">{info(digest)}'
            f"<ds:SignatureValue>{b64(signature)}</ds:SignatureValue>"
            f"<ds:KeyInfo><ds:X509Data>{chain}</ds:X509Data></ds:KeyInfo>"
            "</ds:Signature></SoftwareIdentity>"
        ).encode()


def closed(text, name):
    """Write the empty elements of this name with an end tag."""
    parts = text.split(f"<{name} ")
    rest = [part.replace("/>", f"></{name}>", 1) for part in parts[1:]]
    return f"<{name} ".join([parts[0], *rest])


def info(digest):
    return (
        "<ds:SignedInfo>"
        f'<ds:CanonicalizationMethod Algorithm="{C14N}"/>'
        f'<ds:SignatureMethod Algorithm="{MORE}ecdsa-sha384"/>'
        '<ds:Reference URI=""><ds:Transforms>'
        f'<ds:Transform Algorithm="{DSIG}enveloped-signature"/>'
        f'<ds:Transform Algorithm="{C14N}"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{MORE}sha384"/>'
        f"<ds:DigestValue>{b64(digest)}</ds:DigestValue>"
        "</ds:Reference></ds:SignedInfo>"
    )


def content(version, values, *, product="GH100", edition="GPU", resources=None):
    """Return a tag up to its payload; `values` maps indices to digests that are good.

    An index without digests is one that is not active.
    """
    if resources is None:
        resources = "".join(
            resource(index, *digests) for index, digests in values.items()
        )
    return (
        f'<SoftwareIdentity xmlns="{SWID}" xmlns:ns0="{SWID}" xmlns:ns2="{SHA384}" '
        f'corpus="false" name="{product}">\n'
        '    <ns0:Entity name="Test &amp; Silicon"></ns0:Entity>\n'
        f'    <ns0:Meta xmlns:ns1="{TCG}" PayloadType="direct" '
        f'colloquialVersion="{version}" edition="{edition}" product="{product}" '
        'ns1:PlatformManufacturerId="5703"></ns0:Meta>\n'
        f'    <ns0:Payload xmlns:SHA384="{SHA384}">{resources}\n    </ns0:Payload>\n'
    )


def resource(index, *digests, active=None, **changes):
    active = str(bool(digests) if active is None else active)
    digests = digests or (bytes(48),)
    attributes = {
        "active": active,
        "alternatives": len(digests),
        "index": index,
        "name": f"Measurement_{index}",
        "size": 48,
        "type": "Measurement",
    } | changes
    hashes = {f"ns2:Hash{n}": d.hex() for n, d in enumerate(digests)}
    text = "".join(f' {k}="{v}"' for k, v in (attributes | hashes).items())
    return f"\n        <ns0:Resource{text}></ns0:Resource>"


def b64(data):
    return base64.b64encode(data).decode()


def lines(data):
    text = b64(data)
    return "\n".join(text[i : i + 64] for i in range(0, len(text), 64))


def golden(*indices):
    """Return the values of a chip of `silicon`, which counts from 1."""
    return {index: (measurement(index + 1),) for index in indices}
