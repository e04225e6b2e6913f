"""Markdown becomes chunks under their headings, and no line of text is lost."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.kb.chunks import FULL_CHARS, Chunk, chunks_of

GUIDE = """\
```yaml
source: handbook
pages: 12
```
# Cards
About cards.

## Lost cards
Call us.

### At night
Call the night line.

## Fees

# Loans
Ask at a branch.
"""


def test_the_path_of_headings_is_the_title_and_metadata_is_in_every_chunk() -> None:
    meta = {"source": "handbook", "pages": 12}
    assert chunks_of(GUIDE) == [
        Chunk("Cards", "About cards.", meta),
        Chunk("Cards - Lost cards", "Call us.", meta),
        Chunk("Cards - Lost cards - At night", "Call the night line.", meta),
        Chunk("Loans", "Ask at a branch.", meta),
    ]


def test_a_chunk_as_a_dict_keeps_its_own_title_and_body() -> None:
    chunk = chunks_of("```\ntitle: whole\nbody: none\nlang: en\n```\n# One\ntext")[0]
    assert chunk.as_dict() == {"title": "One", "body": "text", "lang": "en"}


def test_the_text_searched_is_title_blank_line_body() -> None:
    assert chunks_of("# One\n## Two\ntext")[0].searched_text() == "# One - Two\n\ntext"
    assert chunks_of("only text")[0].searched_text() == "only text"


def test_a_skipped_level_and_a_rising_one_cut_the_path() -> None:
    titles = [chunk.title for chunk in chunks_of("# A\n### B\nx\n## C\ny\n# D\nz")]
    assert titles == ["A - B", "A - C", "D"]


def test_a_long_section_is_closed_at_the_next_blank_line() -> None:
    full, long = "x" * FULL_CHARS, "y" * (FULL_CHARS + 1)
    assert [chunk.body for chunk in chunks_of(f"# T\n{full}\n\nmore\n\nrest")] == [f"{full}\n\nmore", "rest"]
    assert [chunk.body for chunk in chunks_of(f"# T\n{long}\nsame\n\nrest")] == [f"{long}\nsame", "rest"]
    assert {chunk.title for chunk in chunks_of(f"# T\n{long}\n\nrest")} == {"T"}


def test_code_is_text_and_stays_whole() -> None:
    code = "```sh\n# not a heading\n\n" + "echo x\n" * 100 + "\n# nor this\n```"
    assert [chunk.body for chunk in chunks_of(f"# T\n{code}\n# U\nend")] == [code, "end"]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    code = "~~~~\n~~~\n# text\n~~~~"
    assert [(chunk.title, chunk.body) for chunk in chunks_of(f"{code}\n# T\nend")] == [
        ("", code),
        ("T", "end"),
    ]


def test_a_fence_that_is_never_closed_does_not_swallow_the_headings() -> None:
    assert [chunk.title for chunk in chunks_of("# A\n```\ntext\n# B\nmore")] == ["A", "B"]


def test_only_a_mapping_in_the_first_block_is_metadata() -> None:
    for block in ("```\n- a\n- b\n```", "```python\na: 1\n```", "```\na: [\n```"):
        assert chunks_of(f"{block}\nend") == [Chunk("", f"{block}\nend", {})]
    assert chunks_of("\ufeff```yml\na: 1\n```\r\nend\r\n") == [Chunk("", "end", {"a": 1})]


def test_empty_documents_have_no_chunks() -> None:
    assert chunks_of("") == chunks_of("\n \n# Heading\n\n") == []


_LINES = st.one_of(
    st.sampled_from(["", "", " ", "# A", "## B", "### C", "#D", "```", "```py", "~~~", "word " * 30]),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40),
)


@given(st.lists(_LINES, max_size=40))
def test_joined_bodies_are_the_document_without_headings_and_blank_lines(lines: list[str]) -> None:
    document = "\n".join(["text first, so that nothing is metadata", *lines])
    kept = [line for chunk in chunks_of(document) for line in chunk.body.split("\n") if line.strip()]
    given_lines = [line for line in document.split("\n") if line.strip()]
    assert [line for line in kept if not line.startswith("#")] == [
        line for line in given_lines if not line.startswith("#")
    ]
    assert all(chunk.body.strip() for chunk in chunks_of(document))
    rest = iter(given_lines)
    assert all(line in rest for line in kept), "the order of the document"
