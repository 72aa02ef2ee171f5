"""What is shipped to run the gateway passes the linters of its own kind, and fits the program."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_python import Chart
from helm_python.chart import lint

from homespun.serve.gateway.config import GatewayConfig, parse

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "homespun"
KUBERNETES = "1.31"
INFORMATION = 1
EVERYTHING = {
    "autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 9, "targetCPU": 60},
    "serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"team": "web"}}}],
        "extraEgress": [{"ports": [{"protocol": "TCP", "port": 4318}]}],
    },
    "state": {"size": "2Gi", "storageClass": "fast"},
    "imagePullSecrets": [{"name": "registry"}],
    "tolerations": [{"key": "llm", "operator": "Exists"}],
}
pytestmark = pytest.mark.slow


def tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def render(chart: Path = CHART, values: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Every object by kind and name."""
    with Chart.load(chart) as loaded:
        files = loaded.render(values or {}, name="demo", namespace="llm")
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    objects = [document for text in texts for document in yaml.safe_load_all(text) if document]
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in objects}


def gateway(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return objects["StatefulSet/demo-homespun"]["spec"]["template"]["spec"]


def test_containerfile_is_clean() -> None:
    done = run(tool("hadolint"), str(DEPLOY / "Containerfile"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_linter_of_containerfiles_finds_faults(tmp_path: Path) -> None:
    spoilt = tmp_path / "Containerfile"
    spoilt.write_text((DEPLOY / "Containerfile").read_text().replace("3.11-slim-bookworm", "latest"))
    assert run(tool("hadolint"), str(spoilt)).returncode == 1


def test_containerfile_copies_what_is_there_and_drops_root() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    sources = [word for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M) for word in line.split()]
    assert sources
    assert all((ROOT / source).exists() for source in sources)
    assert re.findall(r"^USER (\S+)$", text, re.M) == ["10001:10001"]


def unit(folder: Path, **changes: str) -> Path:
    """The unit, with a program that exists on this machine."""
    text = (DEPLOY / "homespun.service").read_text().replace("/opt/homespun/bin/homespun", shutil.which("true") or "")
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "homespun.service").write_text(text)
    return folder / "homespun.service"


def test_unit_is_clean_and_hardened(tmp_path: Path) -> None:
    path = str(unit(tmp_path))
    done = run("systemd-analyze", "verify", path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # exposure is told in tenths of 0 to 10; 20 is 2.0
    assert run("systemd-analyze", "security", "--offline=true", "--threshold=20", path).returncode == 0


def test_the_linter_of_units_finds_faults(tmp_path: Path) -> None:
    done = run("systemd-analyze", "verify", str(unit(tmp_path, ProtectHome="ProtectHouse")))
    assert "ProtectHouse" in done.stderr


def test_unit_gives_running_requests_their_time() -> None:
    text = (DEPLOY / "homespun.service").read_text()
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.M)
    assert stop is not None
    assert int(stop[1]) > GatewayConfig().server.drain


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_chart_is_clean(values: dict[str, Any]) -> None:
    found = lint(CHART, values, strict=True)
    assert found["errors"] == []
    assert [message for message in found["messages"] if message["severity"] > INFORMATION] == []


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_every_object_fits_the_schema_of_kubernetes(values: dict[str, Any]) -> None:
    objects = render(values=values)
    for item in objects.values():
        if item["kind"] != "ServiceMonitor":  # not one of Kubernetes' own; the test below is for it
            kubernetes_validate.validate(item, KUBERNETES, strict=True)
    kinds = {name.partition("/")[0] for name in objects}
    assert {"StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"} <= kinds
    assert ({"HorizontalPodAutoscaler", "ServiceMonitor"} <= kinds) == bool(values)


def test_the_schema_finds_faults(tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "chart")
    template = tmp_path / "chart/templates/statefulset.yaml"
    template.write_text(template.read_text().replace("readinessProbe:", "readinessProbes:"))
    spoilt = render(tmp_path / "chart")["StatefulSet/demo-homespun"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, KUBERNETES, strict=True)


def test_chart_refuses_a_value_that_it_does_not_know() -> None:
    assert lint(CHART, {"replicaCount": 3}, strict=True)["errors"]


def test_only_one_service_is_scraped() -> None:
    objects = render(values=EVERYTHING)
    monitor = objects["ServiceMonitor/demo-homespun"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [item for item in objects.values() if item["kind"] == "Service"]
    matched = [item for item in services if wanted <= item["metadata"]["labels"].items()]
    assert [item["metadata"]["name"] for item in matched] == ["demo-homespun"]
    assert monitor["spec"]["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "30s"}]
    assert matched[0]["spec"]["ports"][0]["name"] == "http"


def test_settings_of_the_chart_are_settings_of_the_gateway() -> None:
    objects = render()
    config = parse(tomllib.loads(objects["ConfigMap/demo-homespun"]["data"]["homespun.toml"]))
    assert config.server.host == "0.0.0.0"
    assert config.server.port == gateway(objects)["containers"][0]["ports"][0]["containerPort"]
    assert config.server.database_env in {item["name"] for item in gateway(objects)["containers"][0]["env"]}
    mounts = {mount["mountPath"] for mount in gateway(objects)["containers"][0]["volumeMounts"]}
    assert str(config.server.state) in mounts


def test_pods_get_time_to_drain() -> None:
    objects = render()
    config = parse(tomllib.loads(objects["ConfigMap/demo-homespun"]["data"]["homespun.toml"]))
    pod = gateway(objects)
    slept = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > slept + config.server.drain


def test_pods_may_do_nothing_that_they_need_not() -> None:
    pod = gateway(render())
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    container = pod["containers"][0]["securityContext"]
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}


def test_new_settings_restart_the_pods() -> None:
    def stamp(values: dict[str, Any]) -> str:
        objects = render(values=values)
        return objects["StatefulSet/demo-homespun"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert stamp({"server": "drain = 20"}) != stamp({})


def test_compose_hardens_the_gateway_and_waits_for_the_database() -> None:
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    served = content["services"]["gateway"]
    assert (DEPLOY / served["build"]["context"] / served["build"]["dockerfile"]).is_file()
    assert served["read_only"] is True
    assert served["cap_drop"] == ["ALL"]
    assert set(served["depends_on"]) == set(content["services"]) - {"gateway"}
    named = {name.partition(":")[0] for item in content["services"].values() for name in item["volumes"]}
    assert {name for name in named if not name.startswith(".")} == set(content["volumes"])
