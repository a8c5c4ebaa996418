"""A change of the projection logic must be announced: whoever upgrades has to rebuild."""

from pathlib import Path

from projections.onboarding.fingerprint import fingerprint

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"


def test_the_changelog_names_the_fingerprint_of_the_logic() -> None:
    assert f"Projection logic `{fingerprint()}`" in CHANGELOG.read_text(), (
        f"the projection logic has changed: add «Projection logic `{fingerprint()}`» to CHANGELOG.md"
        " and say what changes for the rows"
    )
