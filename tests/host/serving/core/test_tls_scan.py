"""A TLS scanner reports nothing on either port: no old protocol, no weak cipher, no known vulnerability."""

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import serving
import trustme

WANTED = {("tls", "1.2"), ("tls", "1.3")}

pytestmark = pytest.mark.skipif(not shutil.which("sslscan"), reason="sslscan is not installed: apt install sslscan")


def _scan(port: int) -> ElementTree.Element:
    done = subprocess.run(["sslscan", "--xml=-", "--no-colour", f"127.0.0.1:{port}"], capture_output=True, check=True,
                          timeout=300)
    found = ElementTree.fromstring(done.stdout).find("ssltest")
    assert found is not None
    return found


def findings(scan: ElementTree.Element) -> list[str]:
    """The scanner's findings for a server."""
    protocols = {(each.get("type"), each.get("version")) for each in scan.findall("protocol") if each.get("enabled") == "1"}
    found = [f"protocol {kind} {version}" for kind, version in sorted(protocols ^ WANTED)]
    ciphers = scan.findall("cipher")
    assert ciphers
    found += [f"cipher {each.get('cipher')} is {each.get('strength')}" for each in ciphers
              if each.get("strength") not in ("strong", "acceptable") or int(each.get("bits", "0")) < 128]
    found += [f"heartbleed {each.get('sslversion')}" for each in scan.findall("heartbleed") if each.get("vulnerable") == "1"]
    for name, good in (("compression", "supported"), ("renegotiation", "supported")):
        each = scan.find(name)
        if each is not None and each.get(good) == "1" and (name == "compression" or each.get("secure") != "1"):
            found.append(name)
    return found


def test_both_ports(bundle_folder: Path, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    options = ["--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem"]
    with serving.Server(tmp_path, bundle_folder / "one", *options) as server:
        for port in (server.port, server.facts["http_port"]):
            assert findings(_scan(port)) == []
