"""The pytest plugin, in runs of pytest of their own."""

import subprocess
import sys

import pytest

from atoma_confidential import Client
from atoma_local import FaultSwitch, LocalAtoma

pytest_plugins = ["pytester"]

# What the inner runs need is loaded here: pytester forgets what they load themselves.
assert Client
assert FaultSwitch
assert LocalAtoma

HEAD = """
    import os
    import pytest
    from atoma_confidential import Client, ConnectionLostError

    SECRET = "The launch is on the fourth of May."
    MODEL = "meta-llama/Llama-3.3-70B-Instruct"

    def ask(**settings):
        with Client(**settings) as client:
            messages = [{"role": "user", "content": SECRET}]
            return client.chat(messages, model=MODEL)
"""


# The other plugins that are installed here take seconds to load.
ALONE = ("-p", "atoma", "-p", "no:cacheprovider")


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def run(pytester, alone):
    """Run a module of tests; return what the run says."""
    pytester.makeini("[pytest]\nfilterwarnings = error\n")

    def run(source, *options, conftest=None):
        if conftest:
            pytester.makeconftest(conftest)
        pytester.makepyfile(f"{HEAD}\n{source}")
        return pytester.runpytest_inprocess(*ALONE, *options)

    return run


def message(result):
    """What pytest says of failures, without the sources it quotes."""
    return "\n".join(line for line in result.outlines if line.startswith("E "))


def test_the_environment_leads_to_the_local_atoma(run, monkeypatch):
    monkeypatch.setenv("ATOMA_BASE_URL", "https://before.example")
    result = run(
        """
    def test_it(atoma):
        assert os.environ["ATOMA_BASE_URL"] == atoma.base_url
        assert ask().verdict.sealed
        assert SECRET in str(atoma.opened)

    def test_after():
        assert os.environ["ATOMA_BASE_URL"] == "https://before.example"
        assert "ATOMA_API_KEY" not in os.environ
    """
    )

    result.assert_outcomes(passed=2)


def test_sealed_text_passes(run):
    result = run(
        """
    def test_it(assert_no_plaintext):
        answer = ask().body["choices"][0]["message"]["content"]
        assert_no_plaintext(SECRET, answer)
    """
    )

    result.assert_outcomes(passed=1)


@pytest.mark.clear_text
def test_clear_text_fails_and_is_not_quoted(run):
    result = run(
        """
    def test_it(assert_no_plaintext):
        ask()
        ask(confidential=False)
        assert_no_plaintext("not this one", SECRET)
    """,
        "--tb=line",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*plaintext on the wire: text 1 (*sent on connection*"]
    )
    assert "fourth of May" not in result.stdout.str()


@pytest.mark.parametrize(
    ("sends", "texts", "says"),
    [
        ("pass", "SECRET", "nothing sealed was sent"),
        ("ask(confidential=False)", "'not this one'", "nothing sealed was sent"),
        ("ask()", "", "no text to look for"),
    ],
)
def test_nothing_is_shown_by_nothing(run, sends, texts, says):
    result = run(
        f"""
    def test_it(assert_no_plaintext):
        {sends}
        assert_no_plaintext({texts})
    """
    )

    result.assert_outcomes(failed=1)
    assert says in message(result)


def test_a_request_that_never_arrived_was_sent(run):
    """What counts is what the client wrote, not what the proxy read."""
    result = run(
        """
    def test_it(atoma_faults, assert_no_plaintext):
        atoma_faults.always("request-cut:0", on="/v1/confidential/")
        with pytest.raises(ConnectionLostError):
            ask()
        assert_no_plaintext(SECRET)
    """
    )

    result.assert_outcomes(passed=1)


def test_faults_of_both_sides_have_one_switch(run):
    result = run(
        """
    from atoma_confidential import AnswerCutError, RateLimitError

    def test_it(atoma, atoma_faults):
        atoma_faults.once("post-425", "key-rotated-before-open")
        atoma_faults.once("reply-cut:200", skip=2, on="/v1/confidential/")
        assert atoma_faults.pending == [
            "post-425", "key-rotated-before-open", "reply-cut:200"
        ]
        with pytest.raises(AnswerCutError):
            ask()
        assert len([e for e in atoma.exchanges if "confidential" in e.path]) == 3

        atoma_faults.always("post-429", on="/v1/confidential/chat")
        with pytest.raises(RateLimitError):
            ask(max_retries=0)
        atoma_faults.clear()
        assert ask().verdict.sealed

        atoma_faults.always("reply-split:9", "request-split:9")
        assert ask().verdict.sealed
        assert "always=['request-split:9']" not in repr(atoma_faults)
        assert "reply-split:9" in repr(atoma_faults)
    """
    )

    result.assert_outcomes(passed=1)


def test_ones_own_faults_go_to_their_side(run):
    result = run(
        """
    from atoma_local import Fault, NetworkFault, FaultSwitch
    from atoma_local.network_faults import find_network_fault

    def test_it(atoma, atoma_faults):
        teapot = Fault("lock-reply", lambda r, _: r | {"node_small_id": 418}, "tea")
        atoma_faults.once(teapot, find_network_fault("reply-split:1"))
        assert atoma.faults.pending == [""]
        assert atoma.tap.faults.pending == ["reply-split:1"]
        assert ask().verdict.node == 418
    """
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "switch",
    [
        'once("post-425")',
        'always("reply-cut:1", on="/nowhere")',
        'once("event-dropped:0")',
    ],
)
def test_a_fault_that_hits_nothing_fails_the_test(run, switch):
    result = run(
        f"""
    def test_it(atoma_faults):
        atoma_faults.{switch}

    def test_cleared(atoma_faults):
        atoma_faults.{switch}
        atoma_faults.clear()
    """
    )

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["faults that hit no request: *"])


def test_a_fault_that_does_not_exist_is_an_error(run):
    result = run(
        """
    def test_it(atoma_faults):
        with pytest.raises(KeyError):
            atoma_faults.once("post-425", "no-such-fault")
        assert atoma_faults.pending == []
    """
    )

    result.assert_outcomes(passed=1)


def test_an_atoma_of_ones_own_serves_the_other_fixtures(run):
    result = run(
        """
    def test_it(atoma, atoma_faults, assert_no_plaintext):
        assert atoma.nonces == "reused"
        atoma_faults.once("post-425")
        ask(api_key=atoma.api_key, base_url=atoma.base_url)
        assert_no_plaintext(SECRET)
    """,
        conftest="""
    import pytest
    from atoma_local import LocalAtoma

    @pytest.fixture
    def atoma():
        with LocalAtoma(wiretap=True, nonces="reused") as local:
            yield local
    """,
    )

    result.assert_outcomes(passed=1)


def test_the_fixtures_of_this_repository_come_before(atoma, recorded):
    """Those of its conftest: an `atoma` is recorded and searched at the end."""
    assert recorded.atomas == [atoma]


# -- for those who do not use it -----------------------------------------------------


def python(code, *options):
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_loading_the_plugin_loads_pytest_and_nothing_else():
    loaded = python(
        "import pytest, sys\n"
        "before = {*sys.modules}\n"
        "import atoma_local.pytest_plugin\n"
        "print(*sorted({*sys.modules} - before))"
    )

    assert loaded.split() == ["atoma_local", "atoma_local.pytest_plugin"]


def test_the_plugin_is_loaded_by_its_entry_point(pytester):
    result = pytester.runpytest_inprocess("--fixtures", "-p", "no:asyncio")

    for name in ("atoma", "atoma_faults", "assert_no_plaintext"):
        result.stdout.fnmatch_lines([f"{name} -- *pytest_plugin.py*"])


def test_without_the_extra_only_who_asks_for_a_fixture_is_told(pytester, alone):
    pytester.makeconftest("import sys\nsys.modules['uvicorn'] = None")
    pytester.makepyfile("def test_it(): pass\n\ndef test_atoma(atoma): pass")
    result = pytester.runpytest_subprocess(*ALONE)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["uvicorn is not installed. Run: pip install 'atoma-confidential[[]local]'"]
    )
