"""Every way to ask a LangChain model, and what may be traced around it."""

from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel


class Answer(BaseModel):
    """An answer."""

    answer: str = ""


async def listed(items):
    return [item async for item in items]


async def _invoke(model, prompt):
    return model.invoke(prompt)


async def _ainvoke(model, prompt):
    return await model.ainvoke(prompt)


async def _stream(model, prompt):
    return [*model.stream(prompt)]


async def _astream(model, prompt):
    return await listed(model.astream(prompt))


async def _transform(model, prompt):
    return [*model.transform(iter([prompt]))]


async def _atransform(model, prompt):
    async def asked():
        yield prompt

    return await listed(model.atransform(asked()))


async def _batch(model, prompt):
    return model.batch([prompt, f"{prompt}?"])


async def _abatch(model, prompt):
    return await model.abatch([prompt, f"{prompt}?"])


async def _generate(model, prompt):
    return model.generate_prompt([model._convert_input(prompt)])


async def _events_v2(model, prompt):
    return await listed(model.astream_events(prompt, version="v2"))


async def _events_v3(model, prompt):
    return model.stream_events(prompt, version="v3").output


async def _aevents_v3(model, prompt):
    return await (await model.astream_events(prompt, version="v3")).output


def parsed(way, **options):
    """Make a way of asking for a structured answer."""

    async def ask(model, prompt):
        return await way(model.with_structured_output(Answer, **options), prompt)

    return ask


WAYS = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "stream": _stream,
    "astream": _astream,
    "batch": _batch,
    "abatch": _abatch,
    "generate": _generate,
    "astream_events-v2": _events_v2,
    "stream_events-v3": _events_v3,
    "astream_events-v3": _aevents_v3,
    "structured-invoke": parsed(_invoke),
    "structured-ainvoke": parsed(_ainvoke),
    "structured-stream": parsed(_stream),
    "structured-astream": parsed(_astream),
    "structured-batch": parsed(_batch),
    "structured-abatch": parsed(_abatch),
    "structured-transform": parsed(_transform),
    "structured-atransform": parsed(_atransform),
    "structured-events-v2": parsed(_events_v2),
    "structured-calls": parsed(_invoke, method="function_calling"),
    "structured-json": parsed(_invoke, method="json_mode"),
    "structured-raw": parsed(_invoke, include_raw=True),
    "structured-raw-stream": parsed(_stream, include_raw=True),
    "structured-raw-astream": parsed(_astream, include_raw=True),
}


def noted(text):
    """Run something else, which is traced as before."""
    RunnableLambda(lambda text: text, name="else").invoke(text)


async def in_a_chain(ask):
    """Ask within a run of which the collector hears nothing but a number."""

    async def chain(_):
        return await ask()

    return await RunnableLambda(chain).ainvoke(7)
