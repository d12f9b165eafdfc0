"""Plays NVIDIA: a test authority of five levels, chips under it, what they sign.

Written from the layouts of protocol 10.3 and of the SPDM report, with nothing of the
package in it. Any value may be replaced, so that a test can break one at a time.
"""

import base64
import datetime as dt
import hashlib
import json
import zlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = 1_800_000_000.0  # 2027-01-15
USES = (
    *("digital_signature", "content_commitment", "key_encipherment"),
    *("data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
    *("encipher_only", "decipher_only"),
)
REQUEST = bytes.fromhex("11e001ff")
RESPONSE = bytes.fromhex("11600000")
SHA384_ID = bytes.fromhex("303d06096086480165030402020430")
FIRMWARE_ID = hashlib.sha384(b"firmware").digest()
OPAQUE = {
    3: b"570.124.06\0",
    6: bytes.fromhex("00bc009602000000"),
    11: b"\x55",
    17: b"G520\0",
    20: FIRMWARE_ID,
    21: b"\x55",
    77: b"of a type that nobody knows",
}


def utc(year):
    return dt.datetime(year, 1, 1, tzinfo=dt.UTC)


def raw(key, data):
    """Return an ECDSA signature as two big-endian integers."""
    size = (key.curve.key_size + 7) // 8
    halves = decode_dss_signature(key.sign(data, ec.ECDSA(SHA384())))
    return b"".join(half.to_bytes(size, "big") for half in halves)


def name_of(common):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Silicon"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


class Issued:
    """A certificate with its key; issues others."""

    def __init__(
        self,
        common,
        issuer=None,
        *,
        ca=True,
        usage="key_cert_sign",
        path_length=None,
        curve=None,
        digest=None,
        years=(2020, 9999),
        extensions=(),
        issuer_name=None,
    ):
        self.key = ec.generate_private_key(curve or ec.SECP384R1())
        self.name = name_of(common)
        issuer = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer_name or issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(utc(years[0]))
            .not_valid_after(utc(years[1]))
        )
        if ca is not None:
            constraints = x509.BasicConstraints(ca=ca, path_length=path_length)
            builder = builder.add_extension(constraints, critical=True)
        if usage is not None:
            uses = dict.fromkeys(USES, False)
            builder = builder.add_extension(
                x509.KeyUsage(**uses | {usage: True}), critical=True
            )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        self.certificate = builder.sign(issuer.key, digest or SHA384())

    @property
    def der(self):
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self):
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self):
        return hashlib.sha256(self.der).digest()


class Chip:
    """A GPU, or a switch, that has certificates and signs reports."""

    def __init__(self, authority, model, chip_id, *, engine, leaf, extensions):
        self.model, self.chip_id = model, chip_id
        self.brom = Issued(f"{model} A01 {engine} BROM", authority.provisioner)
        common = leaf.pop("common", f"{model} A01 {engine} FMC LF")
        options = {"ca": None, "usage": "digital_signature"} | leaf
        self.leaf = Issued(common, self.brom, extensions=extensions, **options)
        self.issued = [self.leaf, self.brom, *authority.issuers]

    @property
    def chain(self):
        return b"".join(issued.pem for issued in self.issued).rstrip(b"\n")

    def report(self, nonce, *, opaque=None, **changes):
        default = OPAQUE
        if self.model == "LS_10":
            default = {6: b"96.10.55.00.01", 22: bytes(8)}
        body = report_body(nonce, opaque=default | (opaque or {}), **changes)
        return body + raw(self.leaf.key, body)

    def entry(self, nonce, **changes):
        """Return what a node publishes for this chip."""
        return entry(
            "nvswitch" if self.model == "LS_10" else "device",
            self.chain,
            self.report(nonce, **changes),
        )


class Authority:
    """The root, and the two levels below it that all chips share."""

    def __init__(self, **root):
        self.root = Issued("Test Device Identity CA", **root)
        self.identity = Issued("Test GH100 Identity", self.root)
        self.provisioner = Issued("Test Provisioner ICA 1", self.identity)
        self.issuers = [self.provisioner, self.identity, self.root]
        self.fingerprint = self.root.fingerprint

    def chip(self, model="GH100", number=1, *, extensions=None, **leaf):
        chip_id = f"48B02D{number:010X}"
        default = [(device_name(model, chip_id), False), (composite_id(), False)]
        return Chip(
            self,
            model,
            chip_id,
            engine="FSP" if model == "LS_10" else "GSP",
            leaf=leaf,
            extensions=default if extensions is None else extensions,
        )


def device_name(model, chip_id, *, tag=0x0C, prefix="NVIDIA"):
    text = f"{prefix}:{model}:{chip_id}".encode()
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.412.274.1")
    value = bytes([tag, len(text)]) + text
    return x509.SubjectAlternativeName([x509.OtherName(oid, value)])


def composite_id(digest=FIRMWARE_ID):
    """The firmware id as Hopper has it, behind what it stands after there."""
    value = bytes.fromhex("3042020101") + SHA384_ID + digest
    oid = x509.ObjectIdentifier("2.23.133.5.4.1")
    return x509.UnrecognizedExtension(oid, value)


def tcb_info(digest=FIRMWARE_ID):
    """The firmware id as Blackwell has it, in the first of two layers."""
    layers = SHA384_ID + digest + SHA384_ID + bytes(48)
    fields = b"\x80\x06NVIDIA" + bytes([0xA6, len(layers)]) + layers + b"\x89\x01\0"
    value = bytes([0x30, 0x81, len(fields)]) + fields
    oid = x509.ObjectIdentifier("2.23.133.5.4.1.1")
    return x509.UnrecognizedExtension(oid, value)


def measurement(index):
    return hashlib.sha384(b"measurement %d" % index).digest()


def block(index, value, *, specification=1, kind=1):
    inner = bytes([kind]) + len(value).to_bytes(2, "little") + value
    return bytes([index, specification]) + len(inner).to_bytes(2, "little") + inner


def field(kind, value):
    return kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value


def report_body(
    nonce,
    *,
    measurements=None,
    opaque=OPAQUE,
    request=REQUEST,
    slot=b"\0",
    response=RESPONSE,
    record=None,
    blocks=None,
    fields=None,
):
    """Return a report but for its signature; None as a field's value leaves it out."""
    if measurements is None:
        measurements = {index: measurement(index) for index in range(1, 65)}
    if record is None:
        record = b"".join(block(i, value) for i, value in measurements.items())
    if fields is None:
        fields = b"".join(field(k, v) for k, v in opaque.items() if v is not None)
    return b"".join(
        [
            request + nonce + slot + response,
            bytes([len(measurements) if blocks is None else blocks]),
            len(record).to_bytes(3, "little") + record,
            hashlib.sha256(b"the device's own nonce").digest(),
            len(fields).to_bytes(2, "little") + fields,
        ]
    )


def entry(kind, chain, report):
    return {
        "evidence_type": kind,
        "certificate": base64.b64encode(chain).decode(),
        "evidence": base64.b64encode(report).decode(),
    }


def pack(entries):
    """Return the record that a node publishes."""
    return zlib.compress(json.dumps(entries, separators=(",", ":")).encode())
