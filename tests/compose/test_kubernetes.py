"""The manifests of deploy/kubernetes: valid, confined, the same plant as docker-compose.yml. No cluster is asked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from shopfloor.compose.provision import provide

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ["1.30", "1.37"]
WORKLOADS = {"Deployment", "StatefulSet", "Job"}

DOCUMENTS = [
    document
    for file in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
    if document["kind"] != "Kustomization"
]
PODS = {each["metadata"]["name"]: each for each in DOCUMENTS if each["kind"] in WORKLOADS}


def pod(workload: str) -> dict[str, Any]:
    return dict(PODS[workload]["spec"]["template"]["spec"])


def container(service: str) -> dict[str, Any]:
    """Return the container that a service of Compose is, by its name; others only prepare its folders."""
    spec = pod(service)
    return next(each for each in [*spec["containers"], *spec.get("initContainers", [])] if each["name"] == service)


def composed() -> dict[str, Any]:
    """Return the services of the default variant, with the defaults of their variables."""
    text = (ROOT / "docker-compose.yml").read_text()
    services = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$"))["services"]
    return {name: service for name, service in services.items() if "profiles" not in service}


SERVICES = composed()


def made() -> dict[str, list[str]]:
    """Return the Secrets that the two jobs make, and the files of each below their folder."""
    settings = [yaml.safe_load(each["data"]["kustomization.yaml"]) for each in DOCUMENTS if each["kind"] == "ConfigMap"]
    return {secret["name"]: secret["files"] for each in settings for secret in each["secretGenerator"]}


def mounts(service: str) -> dict[str, set[str]]:
    """Return what is mounted where: names of Secrets (`secret/NAME`) and of claims."""
    spec = pod(service)
    volumes: dict[str, set[str]] = {}
    for each in spec["volumes"]:
        sources = [each, *each.get("projected", {}).get("sources", [])]
        names = [source["secret"] for source in sources if "secret" in source]
        volumes[each["name"]] = {f"secret/{name.get('name') or name['secretName']}" for name in names}
        if "persistentVolumeClaim" in each:
            volumes[each["name"]].add(each["persistentVolumeClaim"]["claimName"])
    for claim in PODS[service]["spec"].get("volumeClaimTemplates", []):
        volumes[claim["metadata"]["name"]] = {claim["metadata"]["name"]}
    return {each["mountPath"]: volumes[each["name"]] for each in container(service)["volumeMounts"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_a_manifest_is_what_the_version_of_kubernetes_takes(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_one_command_applies_every_manifest() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(file.name for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")


def test_what_is_selected_is_there() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"].items() for each in PODS.values()]
    for each in DOCUMENTS:
        chosen = each.get("spec", {}).get("podSelector") or each.get("spec", {}).get("selector") or {}
        wanted = chosen if each["kind"] == "Service" else chosen.get("matchLabels", {})
        assert any(wanted.items() <= of for of in labels), each["metadata"]["name"]


def test_kubernetes_runs_the_services_that_compose_runs() -> None:
    assert set(PODS) == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
class TestAService:
    """Of both files the same."""

    def test_its_image_and_command(self, service: str) -> None:
        theirs, ours = SERVICES[service], container(service)
        assert ours["image"] == theirs["image"]
        assert ours.get("args") == theirs.get("command")

    def test_its_environment(self, service: str) -> None:
        wanted = {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}
        if service == "postgres":  # a volume of a cluster is no empty folder: it may have `lost+found`
            wanted["PGDATA"] = "/var/lib/postgresql/data/pgdata"
        assert {each["name"]: each["value"] for each in container(service).get("env", [])} == wanted

    def test_its_memory_its_user_and_its_time_to_end(self, service: str) -> None:
        theirs, spec = SERVICES[service], pod(service)
        assert container(service)["resources"]["limits"]["memory"] == theirs["mem_limit"].upper() + "i"
        assert spec["securityContext"]["runAsUser"] == int(theirs.get("user", "10001").partition(":")[0])
        if "stop_grace_period" in theirs:
            assert f"{spec['terminationGracePeriodSeconds']}s" == theirs["stop_grace_period"]

    def test_its_zones(self, service: str) -> None:
        labels = PODS[service]["spec"]["template"]["metadata"]["labels"]
        zones = {name.partition("/")[2] for name in labels if name.startswith("zone.shopfloor/")}
        assert zones == set(SERVICES[service].get("networks", []))

    def test_its_volumes(self, service: str) -> None:
        if PODS[service]["kind"] == "Job":  # it makes Secrets, and keeps nothing
            return
        there = mounts(service)
        for volume in SERVICES[service]["volumes"]:
            name, path = volume.split(":")[:2] if isinstance(volume, str) else (volume["source"], volume["target"])
            if name != "secrets-cloud":  # a copy: it is written to
                assert (f"secret/{name[8:]}" if name.startswith("secrets-") else name) in there[path]

    def test_what_it_asks_has_a_service_with_that_port(self, service: str) -> None:
        ports = {
            (each["metadata"]["name"], port["port"])
            for each in DOCUMENTS if each["kind"] == "Service" for port in each["spec"]["ports"]
        }  # fmt: skip
        texts = [each["value"] for each in container(service).get("env", [])] + container(service).get("args", [])
        asked = {(host, int(port)) for text in texts for host, port in re.findall(r"://([a-z0-9-]+):(\d+)", text)}
        asked |= {(service, int(port.rpartition(":")[2])) for port in SERVICES[service].get("ports", [])}
        assert asked <= ports

    def test_its_probes_ask_what_compose_asks(self, service: str) -> None:
        if "healthcheck" not in SERVICES[service]:
            assert PODS[service]["kind"] == "Job"
            return
        theirs, ours = " ".join(SERVICES[service]["healthcheck"]["test"]), container(service)
        ports = {each["name"]: each["containerPort"] for each in ours.get("ports", [])}
        assert {"startupProbe", "livenessProbe"} <= set(ours)
        assert ("readinessProbe" in ours) == bool(ports)
        for probe in (ours[each] for each in ours if each.endswith("Probe")):
            match probe:
                case {"exec": {"command": command}}:
                    assert all(word in theirs for word in re.split(r"[\s]+", command[-1]))
                case {"httpGet": {"path": path, "port": port}}:
                    assert f":{ports[port]}{path}" in theirs
                case {"tcpSocket": {"port": port}}:
                    assert str(ports[port]) in theirs


def test_only_what_is_no_reason_to_start_a_process_anew_makes_it_not_ready() -> None:
    for service in ("gateway", "cloud"):  # their health tells of stores and brokers, too
        assert "httpGet" in container(service)["readinessProbe"]
        assert "httpGet" not in container(service)["livenessProbe"]


@pytest.mark.parametrize("workload", PODS)
def test_no_container_may_more_than_those_of_compose(workload: str) -> None:
    spec = pod(workload)
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for each in [*spec["containers"], *spec.get("initContainers", [])]:
        context = each["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert each["resources"]["limits"]["memory"]


def test_every_secret_that_is_mounted_is_made_and_each_identity_has_its_own() -> None:
    mounted = {name: [] for name in made()}
    for workload in PODS:
        for each in pod(workload)["volumes"]:
            for source in [each, *each.get("projected", {}).get("sources", [])]:
                if "secret" in source:
                    mounted[source["secret"].get("name") or source["secret"]["secretName"]].append(workload)
    assert {name: by for name, by in mounted.items() if len(by) > 1} == {}


def test_the_files_of_the_secrets_are_those_that_provision_makes(tmp_path: Path) -> None:
    for volume in SERVICES["provision"]["volumes"]:
        if volume.startswith("secrets-"):
            (tmp_path / volume.partition(":")[0].removeprefix("secrets-")).mkdir(mode=0o700)
    provide(tmp_path, datetime.now(UTC))
    from_store = {file for name, files in made().items() if name.endswith(("-store", "-restore")) for file in files}
    files = {file for files in made().values() for file in files} - from_store
    assert [file for file in sorted(files) if not (tmp_path / file).is_file()] == []
    # what only Mosquitto, the light variant or another zone needs stays behind, and so does the authority's key
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()} - files
    assert {Path(file).name for file in left} <= {
        "ca.key.pem", "ca.pem", "mosquitto.conf", "mosquitto.acl", "store-token",
    }  # fmt: skip


def test_members_of_a_zone_talk_to_each_other_and_to_nobody_else() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in DOCUMENTS if each["kind"] == "NetworkPolicy"}
    assert policies["nothing-else"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for zone in ("plant", "workshop", "enterprise"):
        members = {"podSelector": {"matchLabels": {f"zone.shopfloor/{zone}": "member"}}}
        both = {"ingress": [{"from": [members]}], "egress": [{"to": [members]}]}
        assert policies[f"zone-{zone}"] == {**members, "policyTypes": ["Ingress", "Egress"], **both}
