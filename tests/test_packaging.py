"""What is shipped, and that it runs where nothing else of ours is installed."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "atoma_cli",
    "atoma_confidential",
    "atoma_local",
    "langchain_atoma",
    "llama_index_atoma",
)
# A namespace that LlamaIndex shares with its integrations.
NAMESPACE = "llama_index"


def run(*command, check=True, **options):
    done = subprocess.run(  # noqa: S603  our own commands
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **options,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """Build the sdist, and the wheel from the sdist, as an index would get them."""
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--installer", "uv")
    run(*build, "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(dist):
    (found,) = dist.glob("*.whl")
    return found


class Environment:
    """A virtual environment outside the repository, with nothing of its variables."""

    def __init__(self, folder):
        venv.create(folder, symlinks=os.name != "nt")
        self.folder = folder
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"

    def install(self, requirement):
        # NLTK, which LlamaIndex brings along, refuses to read what is linked.
        options = ("--quiet", "--link-mode", "copy", "--python", self.python)
        run(sys.executable, "-m", "uv", "pip", "install", *options, requirement)

    def run(self, *command, **options):
        kept = {"PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR"}
        environment = {k: v for k, v in os.environ.items() if k in kept}
        return run(*command, cwd=self.folder, env=environment, **options)


@pytest.fixture(scope="session")
def bare(tmp_path_factory, wheel):
    environment = Environment(tmp_path_factory.mktemp("bare"))
    environment.install(wheel)
    return environment


@pytest.fixture(scope="session")
def full(tmp_path_factory, wheel):
    environment = Environment(tmp_path_factory.mktemp("full"))
    environment.install(f"{wheel}[all]")
    return environment


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}

    assert {top for top in tops if not top.endswith(".dist-info")} == {
        *PACKAGES,
        NAMESPACE,
    }
    assert {f"{package}/py.typed" for package in PACKAGES} <= {*names}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_every_module_is_in_the_wheel(wheel):
    shipped = {n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".py")}
    written = {
        path.relative_to(base).as_posix()
        for base in (ROOT, ROOT / "shared", ROOT / "shared/llama_index_namespace")
        for package in (*PACKAGES, NAMESPACE)
        for path in (base / package).rglob("*.py")
    }

    assert shipped == written


def test_the_sdist_holds_tests_and_docs_and_no_leftovers(dist):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {
        *("tests/test_packaging.py", "docs/threat-model.md", "Makefile"),
        "examples/agent_under_faults/pyproject.toml",
    } <= names
    assert not [name for name in names if "__pycache__" in name or ".venv" in name]


def test_the_core_runs_without_any_extra(bare):
    done = bare.run(
        bare.python,
        "-W",
        "error",
        "-c",
        "import atoma_confidential, sys\n"
        "atoma_confidential.Client(api_key='k', base_url='http://127.0.0.1:9')\n"
        "print([n for n in ('langchain_core', 'pydantic') if n in sys.modules])",
    )

    assert done.stdout.strip() == "[]"


def test_without_its_extra_the_command_names_it_in_one_sentence(bare):
    done = bare.run(bare.bin / "atoma", "--help", check=False)

    assert done.returncode == 1
    assert done.stderr.strip() == (
        "atoma: typer is not installed. Run: pip install 'atoma-confidential[cli]'"
    )


@pytest.mark.parametrize("name", ["shared", "tests", "docs", "benchmarks"])
def test_folders_of_the_repository_are_not_packages(full, name):
    done = full.run(full.python, "-c", f"import {name}", check=False)

    assert done.returncode == 1
    assert f"No module named '{name}'" in done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_imports_from_the_wheel_without_a_warning(full, package):
    script = (
        f"import {package} as p\n"
        "for name in p.__all__: getattr(p, name)\n"
        "print(p.__file__)"
    )
    done = full.run(full.python, "-W", "error", "-c", script)

    assert str(full.folder) in done.stdout


def test_the_conventional_paths_work_beside_the_real_packages(full):
    script = (
        "import llama_index.core\n"
        "from llama_index.llms.atoma import Atoma\n"
        "from llama_index.embeddings.atoma import AtomaEmbedding\n"
        "from atoma_local import LocalAtoma\n"
        "with LocalAtoma() as atoma:\n"
        "    known = {'api_key': atoma.api_key, 'base_url': atoma.base_url}\n"
        "    print(Atoma(model='m', **known).complete('Hello').text)\n"
        "    embedding = AtomaEmbedding(model_name='m', **known)\n"
        "    print(len(embedding.get_text_embedding('a')))"
    )
    answer, length = full.run(full.python, "-c", script).stdout.strip().splitlines()

    assert answer
    assert length == "384"


@pytest.mark.parametrize("command", [(), ("local",), ("models",), ("ask",), ("chat",)])
def test_the_commands_are_installed(full, command):
    done = full.run(full.bin / "atoma", *command, "--help")

    assert "Usage: atoma" in done.stdout


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_the_installed_command_indexes_and_asks(full, tmp_path, framework):
    """Every import of the longest command is declared by the extra."""
    (tmp_path / "bees.md").write_text("# Bees\n\nA bee dances to show the way.")
    script = (
        "import os, sys\n"
        "from atoma_local import LocalAtoma\n"
        "from atoma_cli import app\n"
        "with LocalAtoma() as atoma:\n"
        "    os.environ['ATOMA_BASE_URL'] = atoma.base_url\n"
        "    os.environ['ATOMA_API_KEY'] = atoma.api_key\n"
        "    sys.argv = ['atoma', *sys.argv[1:]]\n"
        "    app()\n"
    )
    options = ("--framework", framework, "--index-dir", tmp_path / "index")
    done = full.run(
        full.python, "-c", script, "ask", *options, tmp_path, "What does a bee do?"
    )

    assert "bees.md, passage 1" in done.stdout
    assert "Sealed to node" in done.stderr


# -- the pytest plugin: last, for its tests add pytest to the environments -----------

EXAMPLE = ROOT / "examples" / "agent_under_faults"


def test_the_plugin_is_in_nobodys_way(bare, tmp_path):
    """Whoever has no extra runs tests as before; who asks for a fixture is told."""
    bare.install("pytest")
    tests = "def test_other(): pass\n\ndef test_atoma(atoma): pass"
    (tmp_path / "test_it.py").write_text(tests)
    command = (bare.python, "-W", "error", "-m", "pytest", tmp_path)
    done = bare.run(*command, check=False)

    assert "Run: pip install 'atoma-confidential[local]'" in done.stdout
    assert "1 passed, 1 error" in done.stdout


def test_the_example_tests_its_agent_with_the_installed_plugin(full, tmp_path):
    """pytest finds the plugin by its entry point, as it does for any user."""
    leftovers = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    example = shutil.copytree(EXAMPLE, tmp_path / "example", ignore=leftovers)
    full.install("pytest")
    done = full.run(full.python, "-m", "pytest", "-rA", example)

    written = (example / "test_agent.py").read_text()
    passed = re.findall(r"^PASSED .*::(test_\w+)", done.stdout, re.MULTILINE)
    assert {*passed} == {*re.findall(r"^def (test_\w+)", written, re.MULTILINE)}
    assert not {"skipped", "xfailed", "warning"} & {*done.stdout.split()}
