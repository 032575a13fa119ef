import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from securefl.crypto import AgreementKey, Identity, SeededRandomness, SystemRandomness, derive, verify
from securefl.errors import DecodeError, ProtocolError

# RFC 7748 section 6.1.
ALICE_PRIVATE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB_PRIVATE = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
AGREED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")

# RFC 7748 section 5.2: scalar, u-coordinate, output. The second u has its top bit set, which is ignored.
X25519 = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
]
# RFC 7748 section 5.2: k and u after so many iterations of (k, u) = (X25519(k, u), k).
X25519_ITERATED = {
    1: "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
    1000: "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
}

# RFC 8032 section 7.1, tests 1 to 3, 1024 and SHA(abc): seed, public key, message, signature.
TEST_1024 = json.loads((Path(__file__).parents[1] / "vectors" / "ed25519_test_1024.json").read_text())
ED25519 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    tuple(TEST_1024[name] for name in ("seed", "public", "message", "signature")),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]

# RFC 5869 appendix A, tests 1 to 3: input key, salt, info, output.
HKDF_SHA256 = [
    (
        "0b" * 22,
        bytes(range(13)).hex(),
        bytes(range(0xF0, 0xFA)).hex(),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]

# Points of order 1, 2, 4 and 8 (and non-canonical forms): every product with them is zero.
SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


def test_agreement_public_keys_are_those_of_rfc_7748():
    assert AgreementKey.from_bytes(ALICE_PRIVATE).public == ALICE_PUBLIC
    assert AgreementKey.from_bytes(BOB_PRIVATE).public == BOB_PUBLIC


def test_an_agreed_key_is_hkdf_of_the_rfc_7748_secret_and_both_public_keys():
    first, second = sorted((ALICE_PUBLIC, BOB_PUBLIC))
    expected = derive(AGREED, b"securefl agreement v1" + first + second + b"channel")
    assert AgreementKey.from_bytes(ALICE_PRIVATE).agree(BOB_PUBLIC, b"channel") == expected
    assert AgreementKey.from_bytes(BOB_PRIVATE).agree(ALICE_PUBLIC, b"channel") == expected


@pytest.mark.parametrize(("scalar", "public", "output"), X25519)
def test_an_agreed_key_is_hkdf_of_the_scalar_products_of_rfc_7748(scalar, public, output):
    own, peer = AgreementKey.from_bytes(bytes.fromhex(scalar)), bytes.fromhex(public)
    first, second = sorted((own.public, peer))
    expected = derive(bytes.fromhex(output), b"securefl agreement v1" + first + second + b"channel")
    assert own.agree(peer, b"channel") == expected


def test_a_thousand_agreements_in_a_row_are_those_of_rfc_7748():
    scalar = public = bytes([9]) + bytes(31)
    for count in range(1, 1001):
        scalar, public = AgreementKey.from_bytes(scalar)._shared(public), scalar
        if count in X25519_ITERATED:
            assert scalar.hex() == X25519_ITERATED[count]


def test_agreed_keys_differ_by_label_and_by_peer():
    stream = SystemRandomness().stream()
    own, first, second = (AgreementKey.generate(stream) for _ in range(3))
    agreed = {own.agree(peer.public, info) for peer in (first, second) for info in (b"channel", b"mask")}
    assert len(agreed) == 4
    assert all(len(key) == 32 for key in agreed)


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_peer_key_of_small_order_is_refused(public):
    with pytest.raises(ProtocolError, match="all-zero secret"):
        AgreementKey.from_bytes(ALICE_PRIVATE).agree(bytes.fromhex(public), b"channel")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_and_signatures_of_the_wrong_size_are_refused(size):
    for refuse in (Identity.from_bytes, AgreementKey.from_bytes):
        with pytest.raises(DecodeError, match="has 32 bytes"):
            refuse(bytes(size))
    with pytest.raises(DecodeError, match="has 32 bytes"):
        AgreementKey.from_bytes(ALICE_PRIVATE).agree(bytes(size), b"")
    with pytest.raises(DecodeError, match="has 32 bytes"):
        verify(bytes(size), b"", b"", bytes(64))
    with pytest.raises(DecodeError, match="has 64 bytes"):
        verify(bytes(32), b"", b"", bytes(size))


@pytest.mark.parametrize(("seed", "public", "message", "signature"), ED25519)
def test_signatures_are_those_of_rfc_8032(seed, public, message, signature, monkeypatch):
    monkeypatch.setattr("securefl.crypto.keys._signed_bytes", lambda domain, text: text)
    identity = Identity.from_bytes(bytes.fromhex(seed))
    assert identity.public.hex() == public
    assert identity.sign(b"", bytes.fromhex(message)).hex() == signature
    verify(bytes.fromhex(public), b"", bytes.fromhex(message), bytes.fromhex(signature))


def test_a_signature_covers_the_length_prefixed_domain_and_the_message():
    identity = Identity.from_bytes(bytes(32))
    signed = b"securefl signature v1" + bytes([0, 0, 0, 3]) + b"key" + b"message"
    Ed25519PublicKey.from_public_bytes(identity.public).verify(identity.sign(b"key", b"message"), signed)


def test_a_signature_does_not_verify_with_anything_moved_or_changed():
    identity = Identity.generate(SystemRandomness().stream())
    other = Identity.generate(SystemRandomness().stream())
    signature = identity.sign(b"share", b"message")
    verify(identity.public, b"share", b"message", signature)
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    wrong = [
        (other.public, b"share", b"message", signature),
        (identity.public, b"mask", b"message", signature),
        (identity.public, b"share", b"massage", signature),
        (identity.public, b"sharem", b"essage", signature),
        (identity.public, b"share", b"message", flipped),
        (b"\xff" * 32, b"share", b"message", signature),
    ]
    for arguments in wrong:
        with pytest.raises(ProtocolError, match="does not match"):
            verify(*arguments)


@pytest.mark.parametrize(("secret", "salt", "info", "output"), HKDF_SHA256)
def test_derived_bytes_are_those_of_rfc_5869(secret, salt, info, output):
    derived = derive(
        bytes.fromhex(secret), bytes.fromhex(info), size=len(output) // 2, salt=bytes.fromhex(salt)
    )
    assert derived.hex() == output


@pytest.mark.parametrize("kind", [Identity, AgreementKey])
def test_private_bytes_rebuild_a_key_and_never_show_in_its_repr(kind):
    key = kind.generate(SystemRandomness().stream())
    assert kind.from_bytes(key.private_bytes).public == key.public
    assert key.private_bytes.hex() not in repr(key)
    assert key.public.hex() in repr(key)


@pytest.mark.parametrize("kind", [Identity, AgreementKey])
def test_keys_replay_from_a_seeded_stream_and_never_from_the_system(kind):
    seeded = [kind.generate(SeededRandomness(b"s").stream("k")).public for _ in range(2)]
    system = [kind.generate(SystemRandomness().stream("k")).public for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert system[0] != system[1]
