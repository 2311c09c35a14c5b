"""What the files in deploy/ say, read as those read them who run them."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

Manifest = dict[str, Any]


def compose() -> Manifest:
    """compose.yaml, its anchors resolved."""
    found: Manifest = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def kubernetes() -> list[Manifest]:
    """Every object of the base, as it stands in the files."""
    files = sorted((DEPLOY / "kubernetes" / "base").glob("*.yaml"))
    return [
        document
        for file in files
        if file.name != "kustomization.yaml"
        for document in yaml.safe_load_all(file.read_text())
    ]


def kustomization() -> Manifest:
    found: Manifest = yaml.safe_load(
        (DEPLOY / "kubernetes" / "base" / "kustomization.yaml").read_text()
    )
    return found


def pods() -> Iterator[tuple[str, Manifest]]:
    """The name and the pod's specification of each workload."""
    for each in kubernetes():
        if each["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def units() -> dict[str, dict[str, list[str]]]:
    """What each systemd service says in its section [Service]."""
    return {
        file.name: _service(file.read_text())
        for file in sorted((DEPLOY / "systemd").glob("*.service"))
    }


def _service(text: str) -> dict[str, list[str]]:
    lines = text.partition("[Service]")[2].partition("[Install]")[0].splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def dockerfile() -> list[tuple[str, str]]:
    """Each instruction with what follows it, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Where a command of ours is started, and its arguments after `dragoman`."""
    for name, service in compose()["services"].items():
        if "dragoman" in str(service.get("image")) and "entrypoint" not in service:
            yield f"compose.yaml, {name}", service["command"]
    for name, pod in pods():
        for container in pod["containers"]:
            if "command" not in container:
                yield f"Kubernetes, {name}", container["args"]
    for name, unit in units().items():
        program, *arguments = shlex.split(unit["ExecStart"][0].replace("%i", "1"))
        if program.endswith("/dragoman"):
            yield name, arguments


def variables_set() -> Iterator[tuple[str, str]]:
    """Where a variable is given to the desk, and its name."""
    for name, service in compose()["services"].items():
        yield from ((f"compose.yaml, {name}", each) for each in service.get("environment", {}))
    for name, unit in units().items():
        yield from ((name, each) for each in _names(" ".join(unit.get("Environment", []))))
    literals = kustomization()["configMapGenerator"][0]["literals"]
    yield from (("the config map", each.partition("=")[0]) for each in literals)
    for instruction, rest in dockerfile():
        if instruction == "ENV":
            yield from (("Dockerfile", each) for each in _names(rest))


def _names(settings: str) -> list[str]:
    return [setting.partition("=")[0] for setting in shlex.split(settings)]


def expressions() -> Iterator[tuple[str, str]]:
    """Where Prometheus is asked for something, and for what."""
    dashboard = yaml.safe_load((DEPLOY / "grafana" / "dashboards" / "dragoman.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"dashboard, {panel['title']}", target["expr"]
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    for group in alerts["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
