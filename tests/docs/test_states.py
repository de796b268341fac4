"""The page of the agent's states holds the table as the program has it."""

from pathlib import Path

from bedplate.node.update.states import as_diagram, as_table

PAGE = Path(__file__).parents[2] / "docs/reference/agent-states.md"


def test_the_page_has_the_table_and_the_diagram() -> None:
    text = PAGE.read_text()
    assert as_table() in text
    assert f"```mermaid\n{as_diagram()}```" in text
