"""`make run LAN=1`: HTTPS on the local network, because browsers give camera and position to secure origins only.

A certificate authority of this checkout signs a certificate for the machine's address. Phones have to trust the authority once.
It may only sign for private addresses, so its key is of no use elsewhere.

`python -m backend.devstack.lan FILE PORT` serves the authority's certificate over HTTP, for phones to install.
"""

import io
import ipaddress
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backend.devstack.errors import DevstackError

PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8")
AUTHORITY_LIFE, CERTIFICATE_LIFE = timedelta(days=3650), timedelta(days=397)
"""Browsers refuse certificates of sites that are valid for more than 398 days."""
_RENEW_BEFORE = timedelta(days=30)
_UNROUTED = ("192.0.2.1", 9)
"""An address for documentation (RFC 5737): it only makes the system choose a local address; nothing is sent."""


class NoLanAddress(DevstackError):
    """The machine has no private address that a phone could reach, or LAN names one that is not private."""

    code = "no_lan_address"
    zh = "没有找到可供手机访问的局域网地址。请连接 Wi-Fi 或有线网络后重试，或用 LAN=192.168.1.20 指明本机地址。"
    en = "No address on a local network was found. Connect to Wi-Fi or a cable and try again, or name this machine's address: LAN=192.168.1.20."


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of the authority's certificate, and of the server's certificate and key."""

    authority: Path
    certificate: Path
    key: Path


def choose_lan_address(requested: str) -> str | None:
    """Return the address for the value of LAN: found for `1`, none for an empty value, otherwise the one that it names.

    Raises `NoLanAddress` if the address is not private.
    """
    if not requested:
        return None
    address = find_local_address() if requested == "1" else requested
    if address is None or not is_private(address):
        raise NoLanAddress
    return address


def find_local_address() -> str | None:
    """Return the address from which this machine would reach others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if probe.connect_ex(_UNROUTED) != 0:
            return None
        return str(probe.getsockname()[0])


def is_private(address: str) -> bool:
    """Whether the authority may sign for the address."""
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.IPv4Network(each) for each in PRIVATE_NETWORKS)


def ensure_certificates(folder: Path, address: str, now: datetime | None = None) -> Certificates:
    """Create what is missing or about to end in `folder`, for a server at `address`."""
    at = now or datetime.now(UTC)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = Certificates(folder / "authority.crt", folder / f"{address}.crt", folder / f"{address}.key")
    authority_key = folder / "authority.key"
    if not _lasts(files.authority, at):
        _write_authority(files.authority, authority_key, at)
        files.certificate.unlink(missing_ok=True)
    if not _lasts(files.certificate, at):
        _write_certificate(files, authority_key, address, at)
    return files


def _lasts(path: Path, at: datetime) -> bool:
    if not path.is_file():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc > at + _RENEW_BEFORE


def _write_authority(path: Path, key_path: Path, at: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Dianming LAN {at:%Y-%m-%d}")])
    private = [x509.IPAddress(ipaddress.ip_network(each)) for each in PRIVATE_NETWORKS]
    signs = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    built = (
        _builder(name, name, key, at, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(x509.NameConstraints([*private, x509.DNSName("localhost")], None), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM))


def _write_certificate(files: Certificates, authority_key: Path, address: str, at: datetime) -> None:
    signer = serialization.load_pem_private_key(authority_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in sorted({address, "127.0.0.1"})]
    built = (
        _builder(name, authority.subject, key, at, CERTIFICATE_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([*addresses, x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    _write_key(files.key, key)
    files.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, at: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def qr_code(text: str) -> str:
    """Return a QR code of `text` for a terminal."""
    lines = io.StringIO()
    segno.make(text, micro=False).terminal(lines, compact=True)
    return lines.getvalue().rstrip("\n")


def lan_banner(app_url: str, authority_url: str) -> str:
    """Return what a person with a phone has to do, with QR codes."""
    return "\n".join(
        (
            "─" * 72,
            "  手机（连同一局域网）· on a phone in the same network",
            "",
            f"  1. 扫码安装证书（一次）· scan to install the certificate, once: {authority_url}",
            "     iPhone：设置 › 已下载描述文件 › 安装；再到 通用 › 关于本机 › 证书信任设置 打开",
            "     安卓：设置 › 安全 › 加密与凭据 › 安装证书 › CA 证书，选刚下载的文件",
            "     iPhone: Settings › Profile Downloaded › Install, then General › About › Certificate Trust Settings",
            "     Android: Settings › Security › Encryption & credentials › Install a certificate › CA certificate",
            qr_code(authority_url),
            "",
            f"  2. 扫码打开学生端 · scan to open the student app: {app_url}",
            qr_code(app_url),
            "─" * 72,
        )
    )


class _AuthorityHandler(BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-x509-ca-cert")
        self.send_header("Content-Disposition", 'attachment; filename="dianming-lan.crt"')
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Print nothing for each request."""


def authority_server(path: Path, port: int) -> ThreadingHTTPServer:
    """A server that answers every request with the authority's certificate."""
    handler = type("Handler", (_AuthorityHandler,), {"content": path.read_bytes()})
    return ThreadingHTTPServer(("", port), handler)


def main(arguments: list[str]) -> int:
    """Serve the certificate until interrupted."""
    path, port = arguments
    authority_server(Path(path), int(port)).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
