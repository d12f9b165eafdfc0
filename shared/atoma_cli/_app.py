"""The four commands: options in, one call out; the work is done elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._console import err, failures, out
from ._endpoint import (
    CHAT_MODEL,
    EMBEDDING_MODEL,
    Endpoint,
    Nonces,
    StreamMode,
    is_loopback,
)

__all__ = ["cli"]

cli = typer.Typer(
    name="atoma",
    help="Ask your documents, and let nobody on the way read them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help leaves more room for words
    context_settings={"max_content_width": 100},
    pretty_exceptions_enable=False,  # they would print prompts as local variables
)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise typer.BadParameter("it is empty")
    return value


ModelOption = Annotated[
    str,
    typer.Option("--model", callback=_not_blank, help="The model that answers."),
]
StreamModeOption = Annotated[
    StreamMode,
    typer.Option(
        help="live: piece by piece; buffered: sealed as one reply; "
        "auto: live only where the node is seen to do it safely."
    ),
]
ConfidentialOption = Annotated[
    bool,
    typer.Option(
        "--confidential/--no-confidential",
        help="Seal everything to the node, or let the proxy read it.",
    ),
]


@cli.command()
def ask(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            readable=True,
            show_default=False,
            help="A folder of .md, .txt and .pdf files.",
        ),
    ],
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION",
            callback=_not_blank,
            show_default=False,
            help="What you want to know.",
        ),
    ],
    *,
    model: ModelOption = CHAT_MODEL,
    embedding_model: Annotated[
        str,
        typer.Option(callback=_not_blank, help="The model that makes the vectors."),
    ] = EMBEDDING_MODEL,
    k: Annotated[
        int, typer.Option("-k", min=1, help="How many passages to answer from.")
    ] = 4,
    index_dir: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            show_default="one for each folder, in your own settings",
            help="Where the index is kept between runs, in clear. "
            "Only ever name one that you made yourself.",
        ),
    ] = None,
    stream_mode: StreamModeOption = StreamMode.AUTO,
    confidential: ConfidentialOption = True,
) -> None:
    """Answer a question from a folder of documents, and list the sources."""
    with failures():
        with err.status("Loading …"):
            from ._ask import Question  # noqa: PLC0415  heavy
            from ._ask import ask as answer_from  # noqa: PLC0415  likewise
            from ._index_dir import default_directory  # noqa: PLC0415  likewise
        answer_from(
            Question(
                folder, question, index_dir=index_dir or default_directory(folder), k=k
            ),
            Endpoint(
                model,
                embedding_model,
                stream_mode=stream_mode,
                confidential=confidential,
            ),
        )


@cli.command()
def chat(
    *,
    model: ModelOption = CHAT_MODEL,
    system: Annotated[
        str, typer.Option(show_default=False, help="Instructions for the model.")
    ] = "",
    stream_mode: StreamModeOption = StreamMode.AUTO,
    confidential: ConfidentialOption = True,
) -> None:
    """Talk to a model; /new starts over, Ctrl-D ends."""
    with failures():
        from ._chat import converse, read_line  # noqa: PLC0415  heavy

        endpoint = Endpoint(model, stream_mode=stream_mode, confidential=confidential)
        converse(endpoint.chat(), read_line, system=system, forgiving=out.is_terminal)


@cli.command()
def models() -> None:
    """List the models of the network."""
    with failures():
        from ._models import list_models  # noqa: PLC0415  httpx

        list_models()


@cli.command()
def local(
    *,
    host: Annotated[
        str, typer.Option(help="A loopback address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes any free port.")
    ] = 8746,
    nonces: Annotated[
        Nonces,
        typer.Option(help="reused: seal streams as the published node software does."),
    ] = Nonces.FRESH,
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            show_default="two small built-in models",
            help="An OpenAI-compatible engine to answer.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(show_default="random", help="The token clients must have."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:N]",
            help="Misbehave in this way at every request; may be given again.",
        ),
    ] = None,
) -> None:
    """Serve a local Atoma for development and tests; it is not a TEE."""
    if not is_loopback(host):
        raise typer.BadParameter("not a loopback address", param_hint="--host")
    if upstream and not upstream.startswith(("http://", "https://")):
        raise typer.BadParameter("not an http address", param_hint="--upstream")
    with failures():
        from ._local import serve_local  # noqa: PLC0415  starlette, uvicorn

        serve_local(
            host,
            port,
            nonces=nonces,
            upstream=upstream,
            api_key=api_key,
            faults=fault or (),
        )
