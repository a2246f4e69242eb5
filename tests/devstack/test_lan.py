"""HTTPS on the local network: certificates that a phone can trust, and that are good for private addresses only."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from cryptography import x509

from backend.devstack import lan
from backend.devstack.lan import (
    CERTIFICATE_LIFE,
    Certificates,
    NoLanAddress,
    authority_server,
    ensure_certificates,
    lan_banner,
    qr_code,
)
from backend.devstack.supervisor import LAN_PROGRAMS, choose_ports, lan_fields

ADDRESS = "192.168.1.20"


@contextmanager
def tls_server(files: Certificates) -> Iterator[int]:
    """A server that completes one handshake. Yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            connection, _ = listening.accept()
            with connection, ssl.SSLContext.wrap_socket(context, connection, server_side=True) as secure:
                secure.recv(1)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("name", [ADDRESS, "127.0.0.1", "localhost"])
def test_client_that_trusts_the_authority_trusts_the_server(tmp_path: Path, name: str) -> None:
    files = ensure_certificates(tmp_path / "lan", ADDRESS)
    context = ssl.create_default_context(cafile=files.authority)
    with (
        tls_server(files) as port,
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        assert secure.getpeercert()
        secure.sendall(b"x")


def test_authority_cannot_sign_for_a_public_address(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path / "lan", "203.0.113.7")
    context = ssl.create_default_context(cafile=files.authority)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(files.certificate, files.key)
    client = context.wrap_bio(incoming, outgoing, server_hostname="203.0.113.7")
    server = serving.wrap_bio(server_in, server_out, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    server_in.write(outgoing.read())
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    incoming.write(server_out.read())
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        client.do_handshake()


def test_certificates_are_kept_until_shortly_before_they_end(tmp_path: Path) -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    first = ensure_certificates(tmp_path, ADDRESS, start)
    authority, certificate = first.authority.read_bytes(), first.certificate.read_bytes()
    assert first.key.stat().st_mode & 0o777 == 0o600
    ensure_certificates(tmp_path, ADDRESS, start + timedelta(days=300))
    assert first.certificate.read_bytes() == certificate
    ensure_certificates(tmp_path, ADDRESS, start + timedelta(days=380))
    assert first.certificate.read_bytes() != certificate
    assert first.authority.read_bytes() == authority
    parsed = x509.load_pem_x509_certificate(certificate)
    assert parsed.not_valid_after_utc == start + CERTIFICATE_LIFE


def test_phone_gets_the_certificate_as_one_to_install(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, ADDRESS)
    with authority_server(files.authority, 0) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with build_opener(ProxyHandler({})).open(url) as answer:
            assert answer.headers["Content-Type"] == "application/x-x509-ca-cert"
            assert answer.read() == files.authority.read_bytes()
        thread.join()


@pytest.mark.parametrize("found", ["203.0.113.7", None])
def test_machine_without_a_private_address_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    monkeypatch.setattr(lan, "find_local_address", lambda: found)
    with pytest.raises(NoLanAddress, match=r"LAN=192\.168"):
        lan.choose_lan_address("1")


def test_address_is_found_named_or_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan, "find_local_address", lambda: ADDRESS)
    assert lan.choose_lan_address("1") == ADDRESS
    assert lan.choose_lan_address("10.0.0.5") == "10.0.0.5"
    assert lan.choose_lan_address("") is None
    with pytest.raises(NoLanAddress):
        lan.choose_lan_address("8.8.8.8")


def test_ports_and_programs_of_the_local_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.devstack.supervisor.ROOT", tmp_path)
    ports = choose_ports(None, lan=ADDRESS)
    assert ports.lan is not None
    assert ports.public_url == f"https://{ADDRESS}:{ports.lan.https}"
    fields = lan_fields(ports)
    options = [option.format(**fields) for program in LAN_PROGRAMS for option in program.arguments]
    assert str(ports.lan.https) in options
    assert (tmp_path / ".local" / "lan" / f"{ADDRESS}.crt").is_file()


def test_banner_shows_both_addresses_as_codes() -> None:
    app, authority = f"https://{ADDRESS}:8443/m/", f"http://{ADDRESS}:8444/"
    banner = lan_banner(app, authority)
    assert qr_code(app) in banner
    assert qr_code(authority) in banner
    assert app in banner
