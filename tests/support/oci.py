"""The rules of the OCI image specification 1.0 for a layout, checked independently of the project's code."""

import gzip
import hashlib
import json
import re
import tarfile
from datetime import datetime
from pathlib import Path
from typing import Any

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
REF_NAME = re.compile(r"[A-Za-z0-9]+([-._:@/+]+[A-Za-z0-9]+|--[A-Za-z0-9]+)*")
LAYERS = {"application/vnd.oci.image.layer.v1.tar": bytes, "application/vnd.oci.image.layer.v1.tar+gzip": gzip.decompress}


def check_layout(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Asserts the specification's rules; returns manifest and image configuration."""
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_text())
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    (entry,) = index["manifests"]
    assert entry["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert entry["platform"] == {"os": "linux", "architecture": "amd64"}
    assert REF_NAME.fullmatch(entry["annotations"]["org.opencontainers.image.ref.name"])
    manifest = json.loads(blob(folder, entry))
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, entry["mediaType"])
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert all(isinstance(value, str) for value in manifest["annotations"].values())
    config = json.loads(blob(folder, manifest["config"]))
    _check_config(config)
    _check_layers(folder, manifest["layers"], config["rootfs"]["diff_ids"])
    used = {entry["digest"], manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])}
    assert {f"sha256:{path.name}" for path in (folder / "blobs" / "sha256").iterdir()} == used, "blobs that nothing names"
    return manifest, config


def blob(folder: Path, descriptor: dict[str, Any]) -> bytes:
    """The content that a descriptor refers to."""
    assert DIGEST.fullmatch(descriptor["digest"])
    assert MEDIA_TYPE.fullmatch(descriptor["mediaType"])
    data = (folder / "blobs" / "sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
    assert len(data) == descriptor["size"]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == descriptor["digest"]
    return data


def _check_config(config: dict[str, Any]) -> None:
    datetime.fromisoformat(config["created"].replace("Z", "+00:00"))
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["rootfs"]["type"] == "layers"
    filled = [step for step in config["history"] if not step.get("empty_layer")]
    assert len(filled) == len(config["rootfs"]["diff_ids"])
    inner = config["config"]
    assert all("=" in item for item in inner["Env"])
    assert all(re.fullmatch(r"[0-9]+/(tcp|udp)", port) for port in inner["ExposedPorts"])
    assert all(isinstance(word, str) for word in inner["Entrypoint"])


def _check_layers(folder: Path, layers: list[dict[str, Any]], ids: list[str]) -> None:
    assert len(layers) == len(ids)
    for layer, diff_id in zip(layers, ids, strict=True):
        content = LAYERS[layer["mediaType"]](blob(folder, layer))
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == diff_id


def check_tar(path: Path) -> list[str]:
    """Asserts that a layer contains only plain files and folders without owner and time; returns their names."""
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    for member in members:
        assert member.isfile() or member.isdir()
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert not member.name.startswith("/") and ".." not in Path(member.name).parts
        assert member.mode == (0o755 if member.isdir() else 0o644)
    names = [member.name for member in members]
    assert names == sorted(set(names))
    return names


def write_base(folder: Path, architecture: str = "amd64", times: int = 1) -> None:
    """A base image of one gzip layer with one file, listed ``times`` in the index."""
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "hello").write_text("hello")
    with tarfile.open(folder / "layer.tar", "w") as archive:
        archive.add(folder / "hello", "etc/hello")
    content = (folder / "layer.tar").read_bytes()
    layer = _put(folder, gzip.compress(content, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
    ids = [f"sha256:{hashlib.sha256(content).hexdigest()}"]
    config = {"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": ids},
              "config": {"Env": ["PATH=/usr/bin", "PYTHONPATH=/elsewhere"], "Cmd": ["sh"], "Labels": {"base": "yes"}},
              "history": [{"created_by": "base"}, {"created_by": "env", "empty_layer": True}]}
    parts = {"schemaVersion": 2, "layers": [layer], "config": _put(folder, json.dumps(config).encode(),
                                                                   "application/vnd.oci.image.config.v1+json")}
    manifest = _put(folder, json.dumps(parts).encode(), "application/vnd.oci.image.manifest.v1+json")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest] * times}))
    (folder / "hello").unlink()
    (folder / "layer.tar").unlink()


def _put(folder: Path, data: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs" / "sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}
