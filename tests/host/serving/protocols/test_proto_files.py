"""The ``.proto`` files for other languages: compilers accept them, and clients generated from them get answers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import serving
from checkout import ROOT
from PIL import Image

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.serving.protocols.proto_files import proto_files

NAMES = {"tensorflow.proto", "tensorflow_serving.proto", "metadata.proto", "inference.proto", "health.proto"}
PYTHON_CLIENT = """
import sys
import grpc
import tensorflow_pb2 as tf, tensorflow_serving_pb2 as tfs, tensorflow_serving_pb2_grpc as services
import inference_pb2 as oip, inference_pb2_grpc
import health_pb2 as health, health_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    picture = tf.TensorProto(dtype=tf.DT_STRING, string_val=[open(sys.argv[2], "rb").read()])
    picture.tensor_shape.dim.add(size=1)
    scores = services.PredictionServiceStub(channel).Predict(tfs.PredictRequest(inputs={"image": picture})).outputs["logits"]
    print(max(range(10), key=lambda index: scores.float_val[index]))
    print(inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelReady(oip.ModelReadyRequest(name="digits")).ready)
    found = health_pb2_grpc.HealthStub(channel).Check(health.HealthCheckRequest())
    print(found.status == health.HealthCheckResponse.SERVING)
"""


def _protos(folder: Path) -> Path:
    assert main(["client", "protos", "-o", str(folder / "protos")]) == 0
    return folder / "protos"


def _seven(folder: Path) -> Path:
    Image.open(digits.IMAGES / "digit_7_1496.png").convert("RGB").save(folder / "seven.jpg", quality=95)
    return folder / "seven.jpg"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def test_services_have_the_public_names() -> None:
    files = proto_files()
    assert set(files) == NAMES
    assert "package tensorflow.serving;" in files["tensorflow_serving.proto"]
    for text in ("package inference;", "service GRPCInferenceService {", "rpc ModelInfer(ModelInferRequest) returns"):
        assert text in files["inference.proto"]
    assert "rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse);" in files["health.proto"]


def test_a_python_client_made_from_them(server: serving.Server, tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    protos = _protos(tmp_path)
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"--python_out={tmp_path}",
                    f"--grpc_python_out={tmp_path}", *NAMES], check=True, cwd=protos)
    done = subprocess.run([sys.executable, "-c", PYTHON_CLIENT, f"127.0.0.1:{server.port}", _seven(tmp_path)], cwd=tmp_path,
                          env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "True", "True"]


def test_the_names_of_the_page_on_csharp_are_generated(tmp_path: Path) -> None:
    """All names except the client's own class, for which Debian has no compiler."""
    if not shutil.which("protoc"):
        pytest.skip("no compiler of .proto files for C#: apt install protobuf-compiler")
    protos = _protos(tmp_path)
    subprocess.run(["protoc", f"-I{protos}", f"--csharp_out={tmp_path}", *NAMES], check=True, cwd=protos)
    generated = "".join(path.read_text() for path in tmp_path.glob("*.cs"))
    (program,) = _blocks("client-csharp.md", "csharp")
    assert "namespace Tensorflow.Serving" in generated
    for name in ("TensorProto", "TensorShapeProto", "Dim", "PredictRequest"):
        assert name in program
        assert re.search(rf"class {name}\b", generated)
    for member in ("Dtype", "TensorShape", "StringVal", "Size", "Inputs", "OutputFilter", "Outputs", "FloatVal"):
        assert member in program
        assert re.search(rf"public [^\n]* {member} {{", generated)
    assert "DtString" in generated


@pytest.mark.slow
def test_the_client_of_the_page_on_cpp(server: serving.Server, tmp_path: Path) -> None:
    if not shutil.which("grpc_cpp_plugin") or subprocess.run(["pkg-config", "--exists", "grpc++", "protobuf"]).returncode:
        pytest.skip("no gRPC for C++: apt install pkg-config libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc")
    (program,), (commands,) = _blocks("client-cpp.md", "cpp"), _blocks("client-cpp.md", "sh")
    (tmp_path / "score.cpp").write_text(program)
    _seven(tmp_path)
    words = commands.replace("arrayloom ", f"{sys.executable} -m arrayloom ")
    words = words.replace("127.0.0.1:50051", f"127.0.0.1:{server.port}")
    done = subprocess.run(["bash", "-e", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("wrote")]
    assert len(lines) == 5
    assert lines[0].startswith("7 ")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["client", "protos", "-o", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
