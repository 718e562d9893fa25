"""Services in a cluster; its API server runs on the loopback and accepts what the public schemas allow."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("kubernetes")
pytest.importorskip("kubernetes_validate")

from kube_api import KubeApi

from arrayloom.host.cli.main import main
from arrayloom.host.serving.core.keys import Keys
from arrayloom.host.workspace import ExistsError, InUseError, Model, NotFoundError, Workspace, WorkspaceError
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.webservice import KubernetesTarget, KubernetesWebservice, LocalWebservice, Webservice


@pytest.fixture(scope="module")
def image(shop: Workspace, program: Model) -> Image:
    made = Image.create(shop, "digits", program)
    made.wait_for_creation()
    return made


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as api:
        yield api


@pytest.fixture
def target(api: KubeApi, tmp_path: Path) -> KubernetesTarget:
    return KubernetesTarget("test", registry="registry.example/team", kubeconfig=api.kubeconfig(tmp_path / "config"))


def _keys(api: KubeApi) -> Keys:
    return Keys.parse(base64.b64decode(api.objects["default", "Secret", "digits-keys"]["data"]["keys.json"]), "the Secret")


def test_from_deployment_to_deletion(shop: Workspace, image: Image, api: KubeApi, target: KubernetesTarget) -> None:
    config = KubernetesWebservice.deploy_configuration(replicas=2, cpu="500m")
    service = Webservice.deploy_from_image(shop, "digits", image, config, {"stage": "test"}, deployment_target=target)
    assert api.kinds() == {"Service": "digits", "Deployment": "digits", "Secret": "digits-keys"}
    (container,) = api.objects["default", "Deployment", "digits"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/team/digits:{image.version}"
    assert "/etc/arrayloom/keys/keys.json" in container["args"]
    assert service.state == "Transitioning"
    api.roll_out("digits", ready=1)
    assert service.state == "Transitioning"
    api.roll_out("digits")
    found = Webservice(shop, "digits")
    found.wait_for_deployment(timeout=5)
    facts = found.serialize()
    wanted = {"target": "kubernetes", "state": "Healthy", "replicas": 2, "ready_replicas": 2, "context": "test",
              "namespace": "default", "tags": {"stage": "test"}}
    assert {name: facts[name] for name in wanted} == wanted
    assert (found.scoring_uri, found.http_uri) == ("digits.default.svc:50051", "http://digits.default.svc:8501")
    with pytest.raises(InUseError):
        image.delete()
    with pytest.raises(WorkspaceError, match="runs in cluster test, not in a process"):
        _ = found.process
    assert found.delete() == (service.entry.reference,)
    assert api.objects == {}
    with pytest.raises(NotFoundError):
        Webservice(shop, "digits")


def test_keys_are_a_secret_and_are_replaced_one_by_one(shop: Workspace, image: Image, api: KubeApi,
                                                       target: KubernetesTarget) -> None:
    service = Webservice.deploy_from_image(shop, "digits", image, deployment_target=target)
    try:
        before = _keys(api)
        assert (service.get_keys(), service.get_admin_key()) == ((before.primary, before.secondary), before.admin)
        primary, secondary = service.regen_key("primary")
        assert (primary != before.primary, secondary) == (True, before.secondary)
        assert _keys(api) == Keys(primary, secondary, before.admin)
        shown = json.dumps([service.serialize(), service.entry.details, api.requests])
        assert not [key for key in (*before.__dict__.values(), primary) if key in shown]
    finally:
        service.delete()
    config = KubernetesWebservice.deploy_configuration(auth_enabled=False)
    service = Webservice.deploy_from_image(shop, "open", image, config, deployment_target=target)
    try:
        assert "Secret" not in api.kinds()
        with pytest.raises(WorkspaceError, match="takes no keys"):
            service.get_keys()
    finally:
        service.delete()


def test_replicas_images_and_rest(shop: Workspace, image: Image, program: Model, api: KubeApi,
                                  target: KubernetesTarget) -> None:
    service = Webservice.deploy_from_image(shop, "digits", image, deployment_target=target)
    first = service.version
    second = Image.create(shop, "digits", program)
    second.wait_for_creation()
    try:
        service.update(replicas=3)
        spec = api.objects["default", "Deployment", "digits"]["spec"]
        assert (service.version, spec["replicas"], service.serialize()["replicas"]) == (first + 1, 3, 3)
        service.update(second)
        spec = api.objects["default", "Deployment", "digits"]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        assert (spec["replicas"], container["image"]) == (3, f"registry.example/team/digits:{second.version}")
        assert second.dependents() == (service.entry.reference,)
        service.stop()
        assert service.state == "Stopped"
        service.start()
        assert api.objects["default", "Deployment", "digits"]["spec"]["replicas"] == 3
        api.pods = {("default", "digits-a"): "one\ntwo\nthree", ("default", "digits-b"): "four"}
        assert service.get_logs(2).splitlines() == ["pod digits-a", "two", "three", "pod digits-b", "four"]
        with pytest.raises(WorkspaceError, match="replicas 0"):
            service.update(replicas=0)
        with pytest.raises(WorkspaceError, match="nothing to update"):
            service.update()
    finally:
        service.delete()
        second.delete()


def test_an_autoscaler_has_its_least_changed(shop: Workspace, image: Image, api: KubeApi, target: KubernetesTarget) -> None:
    config = KubernetesWebservice.deploy_configuration(max_replicas=5)
    service = Webservice.deploy_from_image(shop, "digits", image, config, deployment_target=target)
    try:
        service.update(replicas=4)
        assert api.objects["default", "HorizontalPodAutoscaler", "digits"]["spec"]["minReplicas"] == 4
        assert api.objects["default", "Deployment", "digits"]["spec"]["replicas"] == 4
        with pytest.raises(WorkspaceError, match="replicas 6: the autoscaler has 5 at most"):
            service.update(replicas=6)
    finally:
        service.delete()
    assert api.objects == {}


def test_what_is_in_the_way_undoes_all(shop: Workspace, image: Image, api: KubeApi, target: KubernetesTarget) -> None:
    service = Webservice.deploy_from_image(shop, "digits", image, deployment_target=target)
    with pytest.raises(ExistsError, match=r"service digits:\d+ exists"):
        Webservice.deploy_from_image(shop, "digits", image, deployment_target=target)
    del api.objects["default", "Secret", "digits-keys"]
    service.delete()
    stranger = {"metadata": {"name": "digits", "generation": 1}, "spec": {}}
    api.objects["default", "Deployment", "digits"] = stranger
    with pytest.raises(ExistsError, match=r'cluster test, namespace default: Deployment digits: .*already exists \(409\)'):
        Webservice.deploy_from_image(shop, "digits", image, deployment_target=target)
    assert api.objects == {("default", "Deployment", "digits"): stranger}
    api.objects.clear()
    api.refused = {"Deployment"}
    with pytest.raises(WorkspaceError, match='User "me" cannot create resource "deployments"'):
        Webservice.deploy_from_image(shop, "digits", image, deployment_target=target)
    assert (api.objects, shop.webservices) == ({}, {})


def test_clusters_that_cannot_be_used(shop: Workspace, image: Image, api: KubeApi, target: KubernetesTarget,
                                      tmp_path: Path) -> None:
    def deploy(name: str = "digits", **place: object) -> None:
        Webservice.deploy_from_image(shop, name, image, deployment_target=KubernetesTarget(**place))  # type: ignore[arg-type]

    with pytest.raises(WorkspaceError, match=r"cluster absent: .*get-contexts"):
        deploy(context="absent", kubeconfig=target.kubeconfig)
    with pytest.raises(WorkspaceError, match="get-contexts"):
        deploy(context="test", kubeconfig=tmp_path / "absent")
    with pytest.raises(WorkspaceError, match=r"Unauthorized \(401\)"):
        deploy(context="wrong", kubeconfig=target.kubeconfig)
    with pytest.raises(WorkspaceError, match="name 'Digits': must be 1 to 63 lower-case"):
        deploy("Digits", context="test", kubeconfig=target.kubeconfig)
    with pytest.raises(WorkspaceError, match="setting 'queue': is for services on this machine"):
        Webservice.deploy_from_image(shop, "digits", image, LocalWebservice.deploy_configuration(queue=3),
                                     deployment_target=target)
    with pytest.raises(WorkspaceError, match="its configuration is for a cluster"):
        Webservice.deploy_from_image(shop, "digits", image, KubernetesWebservice.deploy_configuration())
    assert (api.objects, shop.webservices) == ({}, {})


def test_a_cluster_that_is_gone_leaves_the_list_readable(shop: Workspace, image: Image, tmp_path: Path) -> None:
    with KubeApi() as api:
        target = KubernetesTarget("test", kubeconfig=api.kubeconfig(tmp_path / "config", "team"))
        config = LocalWebservice.deploy_configuration(False, replicas=2)
        service = Webservice.deploy_from_image(shop, "digits", image, config, deployment_target=target)
        assert api.kinds("team") == {"Service": "digits", "Deployment": "digits"}
    facts = Webservice(shop, "digits").serialize()
    assert facts["state"] == "Unknown"
    assert "does not answer" in facts["error"]
    with pytest.raises(WorkspaceError, match="does not answer"):
        service.delete()
    assert list(shop.webservices) == ["digits"]
    with KubeApi() as api:
        api.kubeconfig(tmp_path / "config", "team")
        Webservice(shop, "digits").delete()
    assert not shop.webservices


def test_commands(shop: Workspace, image: Image, api: KubeApi, target: KubernetesTarget,
                  capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str, code: int = 0) -> dict[str, object]:
        assert main(["service", *words, "--workspace", str(shop.path), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    place = ["--target", "kubernetes", "--context", "test", "--kubeconfig", str(target.kubeconfig)]
    facts = run("deploy", "digits", image.id, *place, "--replicas", "2", "--namespace", "team", "--no-wait")
    assert (facts["target"], facts["replicas"], facts["namespace"]) == ("kubernetes", 2, "team")
    api.roll_out("digits", "team")
    assert run("show", "digits")["state"] == "Healthy"
    assert run("list")["services"]
    first = run("keys", "digits")
    assert set(first) == {"primary", "secondary", "admin"}
    assert run("keys", "digits", "--regenerate", "secondary")["primary"] == first["primary"]
    api.objects["team", "Deployment", "digits"]["spec"]["replicas"] = 3     # lets the command return without waiting
    api.roll_out("digits", "team")
    api.objects["team", "Deployment", "digits"]["status"]["observedGeneration"] = 9
    assert run("update", "digits", "--replicas", "3")["replicas"] == 3
    assert "kubernetes" in str(run("deploy", "other", image.id, "--context", "test", code=2)["error"])
    assert "--queue" in str(run("deploy", "other", image.id, *place, "--queue", "3", code=2)["error"])
    assert run("delete", "digits")["deleted"] == [f"service {facts['name']}:{int(str(facts['version'])) + 1}"]
    assert api.objects == {}
