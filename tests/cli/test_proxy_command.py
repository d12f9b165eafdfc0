"""`atoma proxy` as a process: what it prints, its token, its end."""

import signal
import socket
import stat

import httpx
import openai
import pytest
from endless import Endless
from shells import CHAT, MESSAGES

ASK = {"model": CHAT, "messages": MESSAGES}


@pytest.fixture
def begin(start, network):
    def run(*options, lines=2, **environment):
        process = start("atoma_cli", "proxy", "--port", 0, *options, **environment)
        said = (process.stdout.readline().strip() for _ in range(lines))
        return process, dict(line.split("=", 1) for line in said)

    return run


def end(process, *, already=False):
    if not already:
        process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert rest == ""
    assert "Traceback" not in said
    return said


def test_prints_two_lines_that_work_and_ends_on_ctrl_c(
    begin, network, monkeypatch, canary
):
    process, said = begin("--stream-mode", "buffered")
    assert said.keys() == {"OPENAI_BASE_URL", "OPENAI_API_KEY"}
    assert said["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    for name, value in said.items():
        monkeypatch.setenv(name, value)

    with openai.OpenAI() as client:
        assert CHAT in [model.id for model in client.models.list()]
        chunks = [*client.chat.completions.create(**ASK, stream=True)]

    assert "4711" in chunks[0].choices[0].delta.content  # buffered, as asked
    line = end(process)
    assert network.base_url in line
    assert "NO_PROXY" not in line
    assert "POST /v1/chat/completions: 200, sealed to node" in line
    assert canary not in line
    assert said["OPENAI_API_KEY"] not in line


def test_a_token_is_made_for_its_owner_alone(begin, tmp_path):
    file = tmp_path / "token"
    host = "::1" if has_ipv6() else "127.0.0.1"
    options = ("--token-file", file, "--host", host)
    process, said = begin(*options, lines=1, HTTP_PROXY="http://hop.example:3128")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = file.read_text().strip()
    assert len(token) == 43
    spelt = f"[{host}]" if ":" in host else host
    assert said["OPENAI_BASE_URL"].startswith(f"http://{spelt}:")
    with openai.OpenAI(base_url=said["OPENAI_BASE_URL"], api_key=token) as client:
        assert client.models.list().data
    told = end(process)
    assert token not in told
    assert str(file) in told
    assert f"Set NO_PROXY={host}" in told


def test_a_kept_token_is_used_and_ctrl_c_does_not_make_a_stream_whole(
    begin, make_atoma, tmp_path
):
    atoma = make_atoma(backend=Endless())
    where = {"ATOMA_BASE_URL": atoma.base_url, "ATOMA_API_KEY": atoma.api_key}
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(f"{'t' * 43}\n")
    options = ("--token-file", file, "--stream-mode", "live")
    process, said = begin(*options, lines=1, **where)

    with openai.OpenAI(base_url=said["OPENAI_BASE_URL"], api_key="t" * 43) as client:
        stream = client.chat.completions.create(**ASK, stream=True)
        next(stream)
        process.send_signal(signal.SIGINT)
        with pytest.raises(httpx.TransportError):
            list(stream)
    end(process, already=True)


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("mode", "held", "why"),
    [
        (0o644, "t" * 43, "open to other users"),
        (0o600, "short\n", "holds no token of 32 to 256 characters"),
        (0o600, "two words of thirty-two characters", "holds no token"),
        (0o600, "t" * 2000, "longer than"),
    ],
)
def test_a_file_of_no_good_is_one_sentence(atoma_command, tmp_path, mode, held, why):
    file = tmp_path / "token"
    file.write_text(held)
    file.chmod(mode)

    done = atoma_command("proxy", "--port", 0, "--token-file", file)

    assert done.exit_code == 1
    assert why in done.stderr
    assert "Next: Put it right" in done.stderr
    assert held.strip() not in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])  # noqa: S104
def test_serves_nobody_else(atoma_command, host):
    done = atoma_command("proxy", "--host", host)

    assert done.exit_code == 2
    assert "is not one of '127.0.0.1', '::1'" in done.stderr


def test_a_token_is_never_on_the_command_line(atoma_command):
    assert atoma_command("proxy", "--token", "t" * 43).exit_code == 2
    assert atoma_command("proxy", "--no-confidential").exit_code == 2


def test_a_taken_port_is_one_sentence(atoma_command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = atoma_command("proxy", "--port", taken.getsockname()[1])

    assert done.exit_code == 1
    assert "cannot be used: Address already in use." in done.stderr
    assert "--port" in done.stderr


def test_needs_a_key_of_the_network(atoma_command, monkeypatch):
    monkeypatch.delenv("ATOMA_API_KEY")

    done = atoma_command("proxy", "--port", 0)

    assert done.exit_code == 1
    assert "ATOMA_API_KEY" in done.stderr


def test_a_time_limit_must_be_one(atoma_command):
    done = atoma_command("proxy", "--port", 0, "--timeout", "-1")

    assert done.exit_code == 1
    assert "timeout" in done.stderr
