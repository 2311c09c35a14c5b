"""The manifest asks for what the code uses."""

from pathlib import Path

import yaml

from bots.slack.oauth import SCOPES

MANIFEST = Path(__file__).parents[3] / "deploy" / "slack" / "manifest.yaml"


def test_the_manifest_and_the_oauth_page_ask_for_the_same_scopes() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text())
    assert tuple(manifest["oauth_config"]["scopes"]["bot"]) == SCOPES
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert "agent_view" in manifest["features"]
