"""Check what is to be released, as its users will get it: `make release-check`.

    python tests/release/check.py FOLDER

FOLDER has the sdist and the wheel. They are looked at by twine, installed with their
oldest and with their newest dependencies, used and type-checked there; what the newest
installation consists of is written beside them as a CycloneDX SBOM.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
EXTRAS = "all,httpx2,openai,otel"

# The whole of it once: both frameworks, sealed, against the installed local Atoma.
SMOKE = """
from atoma_local import LocalAtoma
import atoma_confidential.httpx2, atoma_confidential.opentelemetry
import langchain_atoma, llama_index_atoma
from atoma_confidential.openai import openai_client
from llama_index.llms.atoma import Atoma
with LocalAtoma() as atoma:
    known = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    chat = langchain_atoma.AtomaChatModel(model="m", **known)
    answer = chat.invoke("Which colour has the sky?")
    assert answer.response_metadata["atoma"]["sealed"], answer.response_metadata
    assert "".join(chunk.text for chunk in chat.stream("Hello"))
    assert len(langchain_atoma.AtomaEmbeddings(model="m", **known).embed_query("a"))
    assert Atoma(model="m", **known).complete("Hello").text
    embeddings = llama_index_atoma.AtomaEmbeddings(model_name="m", **known)
    assert len(embeddings.get_text_embedding("a"))
    with openai_client(**known) as client:
        assert client.embeddings.create(model="m", input="a").data
    sealed = [one for one in atoma.exchanges if "/confidential/" in one.path]
    assert len(sealed) >= 6, len(sealed)
"""


def run(*command, **options):
    print("+", *command, flush=True)
    subprocess.run([*map(str, command)], check=True, **options)  # noqa: S603


def install(folder, wheel, resolution):
    """Return the Python of a new environment."""
    run(
        sys.executable,
        "-m",
        "uv",
        "venv",
        "--quiet",
        "--python",
        sys.executable,
        folder,
    )
    python = folder / "bin" / "python"
    run(
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet"),
        *("--python", python, "--resolution", resolution),
        f"{wheel}[{EXTRAS}]",
    )
    return python


def use(python, folder):
    # From elsewhere: the repository's folders must not be what is imported.
    run(python, "-c", SMOKE, cwd=folder)


def check_types(python, folder):
    copy = folder / "typed.py"
    copy.write_text((HERE / "typed.py").read_text())
    # Only this file: what it uses must have come with the wheel.
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", python, copy)
    run(sys.executable, "-m", "pyright", "--pythonpath", python, copy)


def main():
    dist = Path(sys.argv[1]).resolve()
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        oldest = install(folder / "oldest", wheel, "lowest-direct")
        use(oldest, folder)
        newest = install(folder / "newest", wheel, "highest")
        use(newest, folder)
        check_types(newest, folder)
        sbom = dist / f"sbom-{wheel.stem}.json"
        run(
            *(sys.executable, "-m", "cyclonedx_py", "environment", newest),
            *("--output-reproducible", "--output-file", sbom),
        )
    print(f"{wheel.name} and {sdist.name} can be released; {sbom.name} is their SBOM.")


if __name__ == "__main__":
    main()
