"""The image, the manifests, the units and the dashboard fit the program that they run."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import promql_parser
import pytest
import typer.main
import yaml
from prometheus_client import REGISTRY
from starlette.routing import Route

import dragoman.metrics  # noqa: F401 - registers what is exported
from bots.server import build_app
from dragoman.cli import cli
from dragoman.settings import PREFIX, variables
from tests.deploy import manifests
from tests.deploy.manifests import DEPLOY, ROOT

KUBERNETES = "1.29"
# Those that other programs export: Prometheus itself, and its client for every process.
FOREIGN = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}


def test_compose_follows_its_specification() -> None:
    schema = json.loads(
        (files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text()
    )
    for name in ("compose.yaml", "compose.gpu.yaml"):
        jsonschema.validate(yaml.safe_load((DEPLOY / name).read_text()), schema)


def test_what_compose_refers_to_is_there() -> None:
    told = manifests.compose()
    for name, service in told["services"].items():
        assert set(service.get("depends_on", ())) <= set(told["services"]), name
        assert set(service.get("networks", ())) <= set(told["networks"]), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), (name, source)
            elif not source.startswith("$"):
                assert source in told["volumes"], (name, source)


def test_compose_asks_for_no_variable_that_its_example_lacks() -> None:
    text = (DEPLOY / "compose.yaml").read_text() + (DEPLOY / "compose.gpu.yaml").read_text()
    given = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "compose.env.example").read_text(), re.M))
    needed = set(re.findall(r"\$\{([A-Z_]+)(?::\?[^}]*)\}", text))
    assert needed <= given
    assert given - {"COMPOSE_PROFILES"} <= set(re.findall(r"\$\{([A-Z_]+)", text))


@pytest.mark.parametrize("each", manifests.kubernetes(), ids=lambda each: each["kind"])
def test_each_manifest_follows_its_schema(each: dict[str, Any]) -> None:
    kubernetes_validate.validate(each, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_kustomize_builds(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", str(DEPLOY / "kubernetes" / overlay)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for each in yaml.safe_load_all(done.stdout):
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_the_pods_may_do_little() -> None:
    for name, pod in manifests.pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            told = container["securityContext"]
            assert told["readOnlyRootFilesystem"], name
            assert told["allowPrivilegeEscalation"] is False, name
            assert told["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name


def test_no_secret_stands_in_a_file() -> None:
    assert [each for each in manifests.kubernetes() if each["kind"] == "Secret"] == []
    secret = re.compile("TOKEN|SECRET|PASSWORD|DATABASE_URL|BROKER_URL|API_KEY")
    for where, name in manifests.variables_set():
        assert where.startswith("compose") or not secret.search(name), (where, name)
    for name, service in manifests.compose()["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            assert not secret.search(variable) or "${" in value, (name, variable)


def test_no_proxy_logs_an_address() -> None:
    """One-time links stand in addresses, and what staff search for."""
    ingresses = [each for each in manifests.kubernetes() if each["kind"] == "Ingress"]
    assert ingresses
    for each in ingresses:
        kept = each["metadata"]["annotations"]["nginx.ingress.kubernetes.io/enable-access-log"]
        assert kept == "false"
    assert "request>uri delete" in (DEPLOY / "Caddyfile").read_text(encoding="utf-8")


def test_probes_ask_for_routes_that_are_served() -> None:
    served = {
        route.path for route in build_app([], ready=_nothing).routes if isinstance(route, Route)
    }
    for name, pod in manifests.pods():
        for container in pod["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if "httpGet" in container.get(probe, {}):
                    path = container[probe]["httpGet"]["path"]
                    assert path in ({"/health"} if name == "model" else served), (name, probe)


async def _nothing() -> dict[str, str | None]:
    return {}


def test_what_is_scaled_and_selected_exists() -> None:
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in manifests.kubernetes()
        if each["kind"] == "Deployment"
    }
    names = {found["app.kubernetes.io/name"] for found in labels.values()}
    for each in manifests.kubernetes():
        if each["kind"] == "HorizontalPodAutoscaler":
            assert each["spec"]["scaleTargetRef"]["name"] in labels
        if each["kind"] == "PodDisruptionBudget":
            assert each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in names
        if each["kind"] == "NetworkPolicy":
            for rule in each["spec"]["podSelector"].get("matchExpressions", ()):
                assert set(rule["values"]) <= names


def test_every_setting_exists() -> None:
    known = set(variables().values())
    for where, name in manifests.variables_set():
        assert not name.startswith(PREFIX) or name in known, (where, name)
    for name in re.findall(rf"^#?({PREFIX}\w+)=", (ROOT / ".env.example").read_text(), re.M):
        assert name in known


def test_every_command_exists_with_its_options() -> None:
    group: Any = typer.main.get_command(cli)
    started = list(manifests.commands())
    assert len(started) > 10
    for where, (name, *arguments) in started:
        assert name in group.commands, (where, name)
        group.commands[name].make_context(name, arguments)


def test_every_metric_is_exported() -> None:
    exported = set(FOREIGN)
    for family in REGISTRY.collect():
        exported |= {family.name, f"{family.name}_total"}
        exported |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    asked = [(where, name) for where, text in manifests.expressions() for name in _metrics(text)]
    assert len(asked) > 20
    assert [each for each in asked if each[1] not in exported] == []
    adapter = (DEPLOY / "kubernetes" / "adapter" / "values.yaml").read_text()
    queue = re.search(r"seriesQuery: (dragoman_\w+)", adapter)
    assert queue is not None
    assert queue[1] in exported


def _metrics(expression: str) -> set[str | None]:
    """The names in an expression, which must be one."""
    found: set[str | None] = set()

    def look(part: promql_parser.Expr) -> bool:
        if isinstance(part, promql_parser.VectorSelector):
            found.add(part.name)
        if isinstance(part, promql_parser.MatrixSelector):
            found.add(part.vector_selector.name)
        return True

    promql_parser.walk(promql_parser.parse(expression), look)
    return found


def test_the_image_follows_the_rules() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = manifests.dockerfile()
    assert [rest for name, rest in told if name == "USER"][-1] == "10001:10001"
    assert "ADD" not in {name for name, _ in told}
    assert "HEALTHCHECK" in {name for name, _ in told}


def test_every_image_is_pinned() -> None:
    pinned = re.compile(r"^[\w./-]+:v?\d+\.\d+[\w.-]*$")
    defaults = re.compile(r"\$\{\w+:-([^}]+)\}")
    for name, service in manifests.compose()["services"].items():
        image = defaults.sub(r"\1", service["image"])
        assert pinned.match(image), (name, image)
    [python] = [rest for name, rest in manifests.dockerfile() if rest.startswith("PYTHON=")]
    assert re.fullmatch(r"PYTHON=3\.11\.\d+-slim-\w+", python)


def test_the_image_is_built_of_what_the_wheel_holds() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = built["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {Path(path).parts[0] for path in (*wheel["only-include"], *wheel["force-include"])}
    needed |= {built["project"]["readme"], *built["project"]["license-files"]}
    copied = {
        source
        for name, rest in manifests.dockerfile()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert needed <= copied
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in copied} <= set(allowed)
    assert all((ROOT / source).exists() for source in copied)
    version = built["project"]["version"]
    assert f"dragoman:{version}}}" in (DEPLOY / "compose.yaml").read_text()
    assert manifests.kustomization()["images"][0]["newTag"] == version


def test_caddy_takes_its_file() -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed")
    done = subprocess.run(
        [caddy, "validate", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_systemd_takes_its_units(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    shutil.copytree(DEPLOY / "systemd", tmp_path / "units")
    names = [name.replace("@.", "@1.") for name in manifests.units()]
    done = subprocess.run(
        [verify, "verify", "--man=no", *(str(tmp_path / "units" / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    # Only that nothing is installed in /opt/dragoman here.
    faults = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert faults == []
    for name, unit in manifests.units().items():
        assert unit["User"] == ["dragoman"], name
        assert unit["ProtectSystem"] == ["strict"], name


def test_the_guide_names_what_exists() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    known = set(variables().values())
    for name in re.findall(rf"{PREFIX}[A-Z_]+", guide):
        assert name in known, name
    exported = {family.name for family in REGISTRY.collect()}
    for name in re.findall(r"`(dragoman_[a-z_]+)", guide):
        assert name.removesuffix("_total") in exported, name
    for path in re.findall(r"deploy/[\w./-]+", guide):
        wanted = ROOT / path.rstrip(".")
        copied = wanted.name in {".env", ".env.desk"}
        assert copied or wanted.exists(), path
