"""Every Python block of the documentation runs, and every command in it exists."""

import gc
import logging
import re
from pathlib import Path

import pytest
from fault_page import table, written

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


# What these pages show needs what `make ecosystem` installs, and runs there.
HOW_TO = ROOT / "docs" / "how-to"


def blocks(language, *, tests=False):
    return [
        pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        if HOW_TO not in page.parents or language == "bash"
        for number, (kind, code) in enumerate(FENCE.findall(page.read_text()))
        if kind == language and ("def test_" in code) == tests
    ]


def test_every_block_says_what_it_is():
    kinds = {kind for page in PAGES for kind, _ in FENCE.findall(page.read_text())}

    assert kinds == {"bash", "python", "text"}


# LlamaIndex's agents bring these along.
@pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore::ResourceWarning",
)
@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code, atoma, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where they write to
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    monkeypatch.setattr(
        "atoma_confidential.pin_file.default_path", lambda: tmp_path / "pins.json"
    )
    # What a block sets for the whole process ends with it.
    monkeypatch.setattr("langchain_core.globals._llm_cache", None)

    exec(compile(code, "<documentation>", "exec"), {"__name__": "__main__"})  # noqa: S102
    gc.collect()  # what a block leaves behind belongs to it
    logging.getLogger("atoma_confidential").setLevel(logging.NOTSET)


@pytest.mark.parametrize("code", blocks("python", tests=True))
def test_blocks_of_tests_pass(code, pytester, monkeypatch):
    """Each is a module of its own, with no fixtures but those of the plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(code)

    done = pytester.runpytest_inprocess("-p", "atoma", "-p", "no:cacheprovider")

    done.assert_outcomes(passed=code.count("def test_"))


def test_the_table_of_faults_is_the_one_of_the_code():
    """If not: `python tests/support/fault_page.py`."""
    assert written((ROOT / "docs" / "testing.md").read_text()) == table()


def make_targets():
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([\w-]+):", text, re.MULTILINE))


@pytest.mark.parametrize("code", blocks("bash"))
def test_bash_blocks_name_targets_and_commands_that_exist(code):
    cli = pytest.importorskip("atoma_cli._app").cli
    known = {command.callback.__name__ for command in cli.registered_commands}
    for line in code.splitlines():
        if found := re.match(r"make ([\w-]+)", line):
            assert found[1] in make_targets()
        elif found := re.match(r"atoma (\w+)", line):
            assert found[1] in known
        elif found := re.match(r"\.venv/bin/python (\S+)", line):
            assert (ROOT / found[1]).is_file()
        else:
            assert re.match(r"export ATOMA_|python3 -m venv|\.venv/bin/pip", line), line


def anchors(page):
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text()):
        linked = (page.parent / target) if target else page
        assert linked.exists(), target
        if anchor:
            assert anchor in [*anchors(linked)], f"{target}#{anchor}"


def test_the_cited_error_classes_exist():
    from atoma_confidential import errors

    cited = {
        name for page in PAGES for name in re.findall(r"`(\w+Error)`", page.read_text())
    }

    assert cited <= {*errors.__all__, "ModelError"}


def test_the_fields_in_clear_are_the_ones_the_threat_model_names(atoma):
    """A field that is added to the wire must be added to the page."""
    from atoma_confidential import Client

    with Client(api_key=atoma.api_key, base_url=atoma.base_url) as client:
        client.chat(
            [{"role": "user", "content": "What does the page say?"}],
            model="meta-llama/Llama-3.3-70B-Instruct",
        )
    names = atoma.tap.view().field_names("/v1/confidential/chat/completions")
    page = (ROOT / "docs" / "threat-model.md").read_text()
    listed = page.partition("by name:\n")[2].partition("\nThe digest")[0]

    assert {*names} == {*re.findall(r"`(\w+)`", listed)}


CITED = re.compile(r"protocol(?:\.md)?(?: section)? (\d+(?:\.\d+)?(?:, \d+\.\d+)*)")


def test_the_sections_that_the_code_cites_exist():
    page = (ROOT / "docs" / "protocol.md").read_text()
    sections = {*re.findall(r"^#+ ([\d.]+?)\.? ", page, re.MULTILINE)}
    cited = {
        number
        for folder in ("shared", "langchain_atoma", "docs/adr")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in {".py", ".md"}
        for numbers in CITED.findall(path.read_text())
        for number in numbers.split(", ")
    }

    assert cited >= {"4.5", "7.4", "11.3"}
    assert cited <= sections


SHOWN_BY = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


def test_what_the_threat_model_claims_is_shown_by_tests_that_exist():
    page = (ROOT / "docs" / "threat-model.md").read_text()
    shown = SHOWN_BY.findall(page)

    assert len(shown) >= 20
    for path, name in shown:
        text = (ROOT / "tests" / path).read_text()
        assert not name or re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)


def test_each_row_of_the_threat_model_says_what_shows_it():
    page = (ROOT / "docs" / "threat-model.md").read_text()
    _, _, rows = page.partition("## What each party can do")
    rows, _, _ = rows.partition("## The weaknesses")

    for row in re.findall(r"^\| (?!attempt|---)(.*) \|$", rows, re.MULTILINE):
        source = row.split(" | ")[3]
        assert re.search(r"\.py|protocol \d|\]\(\w+\.md\)", source), row
