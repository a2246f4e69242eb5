"""Encryption with three key layers and two ciphers: what opens, and what does not."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engines.base import EngineKey
from biometrics.templates.sealing import (
    Binding,
    Cipher,
    DataKey,
    KeyEncryptionKey,
    PictureKey,
    PictureUnreadable,
    TemplateUnreadable,
    WrappedKey,
    decrypt,
    derive_picture_name,
    encrypt,
    new_data_key,
    new_picture_key,
    new_school_key,
    open_data_key,
    open_picture,
    open_picture_key,
    open_record,
    open_school_key,
    rewrap_school_key,
    seal_picture,
    seal_record,
)

AES, SM4 = Cipher.AES_256_GCM, Cipher.SM4_GCM
ROOT = KeyEncryptionKey("1", bytes(range(32)))
BINDING = Binding("student-1", EngineKey("dlib", "1"), "roll-call")


def make_school_key(name: str = "school-1", cipher: Cipher = AES) -> KeyEncryptionKey:
    return open_school_key(new_school_key(name, ROOT, cipher), name, ROOT)


def make_data_key(student: str = "student-1", cipher: Cipher = AES) -> DataKey:
    school = make_school_key(cipher=cipher)
    return open_data_key(new_data_key(student, school, cipher), student, school)


def test_sm4_gcm_matches_the_published_vector() -> None:
    """RFC 8998, appendix A.1."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    nonce = bytes.fromhex("00001234567800000000ABCD")
    associated = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    plain = bytes.fromhex(
        "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
        "EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
    )
    published = bytes.fromhex(
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC"
    )
    assert encrypt(SM4, key, nonce, plain, associated) == published
    assert decrypt(SM4, key, nonce, published, associated) == plain


def test_aes_256_gcm_matches_the_published_vector() -> None:
    """McGrew and Viega, The Galois/Counter Mode of Operation, test case 16."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    published = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    assert encrypt(AES, key, nonce, plain, associated) == published
    assert decrypt(AES, key, nonce, published, associated) == plain


@pytest.mark.parametrize("cipher", list(Cipher))
def test_record_opens_through_all_key_layers_with_either_cipher(cipher: Cipher) -> None:
    key = make_data_key(cipher=cipher)
    assert open_record(seal_record(b"face", BINDING, key, cipher), BINDING, key) == b"face"


def test_records_stay_readable_after_a_change_of_cipher() -> None:
    key = make_data_key(cipher=AES)
    earlier, later = seal_record(b"a", BINDING, key, AES), seal_record(b"b", BINDING, key, SM4)
    assert (open_record(earlier, BINDING, key), open_record(later, BINDING, key)) == (b"a", b"b")


def test_record_with_a_wrong_cipher_code_does_not_open() -> None:
    key = make_data_key()
    sealed = bytearray(seal_record(b"face", BINDING, key, AES))
    sealed[4] = 2
    with pytest.raises(TemplateUnreadable):
        open_record(bytes(sealed), BINDING, key)


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, student_id="student-2"),
        replace(BINDING, purpose="portrait"),
        replace(BINDING, engine=EngineKey("dlib", "2")),
        replace(BINDING, engine=EngineKey("other", "1")),
        replace(BINDING, engine=EngineKey("dli", "b1")),
    ],
)
def test_record_opens_only_for_its_binding(other: Binding) -> None:
    key = make_data_key()
    sealed = seal_record(b"face", BINDING, key, AES)
    with pytest.raises(TemplateUnreadable):
        open_record(sealed, other, key)
    with pytest.raises(TemplateUnreadable):  # not even with the same key for the other student
        open_record(sealed, other, replace(key, student_id=other.student_id))


@given(st.data())
def test_record_with_any_altered_byte_does_not_open(data: st.DataObject) -> None:
    key = make_data_key()
    sealed = bytearray(seal_record(b"face", BINDING, key, data.draw(st.sampled_from(Cipher))))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TemplateUnreadable):
        open_record(bytes(sealed), BINDING, key)


@pytest.mark.parametrize("length", [0, 3, 4, 5, 16, 17, 20, 33])
def test_truncated_record_does_not_open(length: int) -> None:
    key = make_data_key()
    with pytest.raises(TemplateUnreadable):
        open_record(seal_record(b"face", BINDING, key, AES)[:length], BINDING, key)


def test_encrypting_twice_gives_different_bytes() -> None:
    key = make_data_key()
    assert seal_record(b"face", BINDING, key, AES) != seal_record(b"face", BINDING, key, AES)


def test_shredded_record_cannot_be_opened_with_all_other_keys() -> None:
    """After the wrapped data key is deleted, the root key, the school key and other data keys do not open the record."""
    school = make_school_key()
    wrapped = new_data_key("student-1", school, AES)
    sealed = seal_record(b"face", BINDING, open_data_key(wrapped, "student-1", school), AES)
    del wrapped
    secrets = [
        ROOT.secret,
        school.secret,
        *(open_data_key(new_data_key(name, school, AES), name, school).secret for name in ("student-1", "b")),
    ]
    for secret in secrets:
        with pytest.raises(TemplateUnreadable):
            open_record(sealed, BINDING, DataKey("student-1", secret))


def test_data_key_opens_only_for_its_student_and_school() -> None:
    school = make_school_key()
    wrapped = new_data_key("student-1", school, AES)
    other = replace(make_school_key("school-2"), id="school-1")
    for student, kek in (("student-2", school), ("student-1", other), ("student-1", replace(school, id="x"))):
        with pytest.raises(TemplateUnreadable):
            open_data_key(wrapped, student, kek)


def test_school_key_is_not_a_data_key() -> None:
    """Both are 32 random bytes wrapped by a key; the header tells them apart."""
    wrapped = new_school_key("same", ROOT, AES)
    with pytest.raises(TemplateUnreadable):
        open_data_key(wrapped, "same", ROOT)


def test_root_key_rotation_rewraps_only_the_school_keys() -> None:
    wrapped = new_school_key("school-1", ROOT, AES)
    school = open_school_key(wrapped, "school-1", ROOT)
    students = new_data_key("student-1", school, AES)
    sealed = seal_record(b"face", BINDING, open_data_key(students, "student-1", school), AES)
    newer = KeyEncryptionKey("2", os.urandom(32))
    rewrapped = rewrap_school_key(wrapped, "school-1", ROOT, newer, SM4)
    again = open_school_key(rewrapped, "school-1", newer)
    assert open_record(sealed, BINDING, open_data_key(students, "student-1", again)) == b"face"
    with pytest.raises(TemplateUnreadable):
        open_school_key(rewrapped, "school-1", ROOT)


def test_wrapped_key_with_another_kek_id_does_not_open() -> None:
    wrapped = new_school_key("school-1", ROOT, AES)
    with pytest.raises(TemplateUnreadable):
        open_school_key(WrappedKey("2", wrapped.sealed), "school-1", replace(ROOT, id="2"))


def test_keys_have_256_bits_and_a_safe_repr() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyEncryptionKey("short", bytes(16))
    assert "secret" not in repr(ROOT)
    assert "secret" not in repr(make_data_key())


# --- pictures ---


def make_picture_key(student: str = "student-1", cipher: Cipher = AES) -> PictureKey:
    school = make_school_key(cipher=cipher)
    return open_picture_key(new_picture_key(student, school, cipher), student, school)


@pytest.mark.parametrize("cipher", Cipher)
@given(plain=st.binary(max_size=300), context=st.lists(st.text(max_size=5), max_size=3).map(tuple))
def test_picture_opens_for_its_context_only(cipher: Cipher, plain: bytes, context: tuple[str, ...]) -> None:
    key = make_picture_key()
    sealed = seal_picture(plain, context, key, cipher)
    assert open_picture(sealed, context, key) == plain
    for other_context, other_key in (
        ((*context, ""), key),
        (context, make_picture_key()),
        (context, replace(key, student_id="student-2")),
    ):
        with pytest.raises(PictureUnreadable):
            open_picture(sealed, other_context, other_key)


def test_picture_key_is_not_a_data_key_and_a_record_is_not_a_picture() -> None:
    school, key = make_school_key(), make_data_key()
    with pytest.raises(TemplateUnreadable):
        open_data_key(new_picture_key("student-1", school, AES), "student-1", school)
    with pytest.raises(PictureUnreadable):
        open_picture_key(new_data_key("student-1", school, AES), "student-1", school)
    same_secret = PictureKey(key.student_id, key.secret)
    with pytest.raises(PictureUnreadable):
        open_picture(seal_record(b"face", BINDING, key, AES), ("portrait",), same_secret)


def test_name_of_a_picture_depends_on_key_and_every_part_and_repeats() -> None:
    key = make_picture_key()
    contexts = [("a", "bc"), ("ab", "c"), ("a", "b", "c"), ()]
    names = {derive_picture_name(context, key) for context in contexts}
    assert len(names) == len(contexts)
    assert derive_picture_name(contexts[0], key) in names
    assert derive_picture_name(contexts[0], make_picture_key()) not in names
    assert all(len(name) == 32 for name in names)
