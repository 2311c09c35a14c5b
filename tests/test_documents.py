"""What the documents promise of the tree."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_architecture_names_only_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:core|bots|dragoman|retrieval|workers|tests)/[\w./]+)", text))
    assert len(named) > 25
    assert [name for name in sorted(named) if not (ROOT / name.rstrip(".")).exists()] == []


def test_architecture_walks_a_message_in_under_sixty_lines() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    walk = text.split("## One message's way")[1].split("\n## ")[0]
    assert len(walk.splitlines()) < 60


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
