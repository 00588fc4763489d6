"""One round of everything that people do with OpenAI's Python package; prints what came back as JSON."""
import json
import os

import openai

model = os.environ["LMSTACK_MODEL"]
client = openai.OpenAI(max_retries=0)


def ask(text):
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def error_of(call):
    try:
        call()
    except openai.APIError as error:
        return type(error).__name__
    return None


whole = client.chat.completions.create(**ask("hello"))
stream = client.chat.completions.create(**ask("sim:prefill=200 hello"), stream=True)
streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
called = client.chat.completions.create(**ask("weather?"), tools=[weather], tool_choice="required")
with client.responses.stream(model=model, input="hello") as answer:
    for _ in answer:
        pass
    final = answer.get_final_response()

endless = client.chat.completions.create(**ask("sim:tokens=100000 sim:pace=5"), stream=True)
next(iter(endless))
endless.close()

print(
    json.dumps(
        {
            "whole": whole.choices[0].message.content,
            "streamed": streamed,
            "reasoning": final.usage.output_tokens_details.reasoning_tokens,
            "tool": called.choices[0].message.tool_calls[0].function.name,
            "responses": final.output_text,
            "wrong_key": error_of(lambda: openai.OpenAI(api_key="sk-wrong", max_retries=0).models.list()),
            "bad_request": error_of(lambda: client.chat.completions.create(model=model, messages="no list")),
        }
    )
)
