"""The parts of a message, text and images by URL: taken and refused by the sandbox as OpenAI takes and refuses them."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.contract.conftest import Provider

URL = "https://img.example/a.jpg"
DATA = "data:image/png;base64,iVBORw0KGgo="


def chat(provider: Provider, *parts: Any, role: str = "user", before: Any = ()) -> str:
    asked: list[Any] = [*before, {"role": role, "content": list(parts)}]
    answer = provider.api.chat.completions.create(model="gpt-4o-mini", messages=asked)
    return str(answer.choices[0].message.content)


def response(provider: Provider, *parts: Any) -> str:
    asked: Any = [{"role": "user", "content": list(parts)}]
    return provider.api.responses.create(model="gpt-4o-mini", input=asked).output_text


def of_chat(url: Any = URL, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def of_response(url: Any = URL, **more: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **more}


TEXT, INPUT_TEXT = {"type": "text", "text": "What is it?"}, {"type": "input_text", "text": "What is it?"}


def test_another_image_is_another_answer_and_the_same_the_same(provider: Provider) -> None:
    first, again = (chat(provider, TEXT, of_chat()) for _ in range(2))
    assert "What is it? [image " in first
    assert first == again
    others = [chat(provider, TEXT, of_chat(DATA)), chat(provider, TEXT, of_chat(), of_chat())]
    assert len({first, *others}) == 3
    assert response(provider, INPUT_TEXT, of_response(detail="low")).endswith(first.rpartition("What is it?")[2])


@pytest.mark.parametrize(
    ("parts", "message", "param", "code"),
    [
        (
            [TEXT, {"type": "image_url", "image_url": URL}],
            "Invalid type for 'messages[0].content[1].image_url': expected an object, but got a string instead.",
            "messages[0].content[1].image_url",
            "invalid_type",
        ),
        (
            [TEXT, {"type": "image", "image": URL}],
            "Invalid value: 'image'. Supported values are: 'text', 'image_url',",
            "messages[0].content[1].type",
            "invalid_value",
        ),
        ([TEXT, INPUT_TEXT], "Invalid value: 'input_text'.", "messages[0].content[1].type", "invalid_value"),
        (["What is it?"], "'messages[0].content[0]': expected an object", "messages[0].content[0]", "invalid_type"),
        ([{"text": "x"}], "Missing required", "messages[0].content[0].type", "missing_required_parameter"),
        ([{"type": "text"}], "Missing required", "messages[0].content[0].text", "missing_required_parameter"),
        ([{"type": "text", "text": 7}], "but got an integer", "messages[0].content[0].text", "invalid_type"),
        ([{"type": "image_url"}], "Missing", "messages[0].content[0].image_url", "missing_required_parameter"),
        ([of_chat(None)], "Missing", "messages[0].content[0].image_url.url", "missing_required_parameter"),
        ([of_chat([URL])], "an array", "messages[0].content[0].image_url.url", "invalid_type"),
        ([of_chat("photos/a.jpg")], "Expected a valid URL", "messages[0].content[0].image_url.url", "invalid_value"),
        ([of_chat("https://[a")], "Expected a valid URL", "messages[0].content[0].image_url.url", "invalid_value"),
        ([of_chat("s3://b/a.jpg")], "Expected a valid URL", "messages[0].content[0].image_url.url", "invalid_value"),
        ([of_chat("data:text/html;base64,aaaa")], "MIME type", "messages[0].content[0].image_url.url", "invalid_value"),
        ([of_chat("data:image/png;base64,a")], "base64 i", "messages[0].content[0].image_url.url", "invalid_base64"),
        ([of_chat(detail="close")], "'close'", "messages[0].content[0].image_url.detail", "invalid_value"),
        ([of_chat("https://a.invalid/b.jpg")], "while downloading https://a.invalid/b.jpg.", "url", "invalid_value"),
        ([{"type": "input_audio"}], "the sandbox reads no part", "messages[0].content[0]", "not_served_by_the_sandbox"),
    ],
)  # fmt: skip
def test_a_chat_with_a_malformed_part_is_refused(
    provider: Provider, parts: list[Any], message: str, param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat(provider, *parts)
    assert message in refused.value.message
    assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"type": "input_image", "image_url": {"url": URL}},
            "Invalid type for 'input[0].content[1].image_url': expected an image URL, but got an object instead.",
        ),
        ({"type": "input_image"}, "Missing required parameter: 'input[0].content[1].image_url'."),
        (of_chat(), "Invalid value: 'image_url'. Supported values are: 'input_text', 'input_image',"),
        (of_response(detail="close"), "Invalid value: 'close'."),
        (of_response("a.jpg"), "Invalid 'input[0].content[1].image_url'. Expected a valid URL"),
    ],
)
def test_a_response_with_a_malformed_part_is_refused(provider: Provider, part: Any, message: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        response(provider, INPUT_TEXT, part)
    assert message in refused.value.message


def test_only_users_send_images_and_earlier_messages_are_read_too(provider: Provider) -> None:
    with pytest.raises(openai.BadRequestError, match="Image URLs are only allowed for messages with role 'user'"):
        chat(provider, TEXT, of_chat(), role="system")
    with pytest.raises(openai.BadRequestError, match=r"messages\[0\]\.content\[0\]\.image_url"):
        chat(provider, TEXT, before=[{"role": "user", "content": [{"type": "image_url", "image_url": URL}]}])


def test_a_batch_answers_the_other_requests(provider: Provider) -> None:
    bodies = [{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [TEXT, of_chat(url)]}]}
              for url in (URL, "a.jpg", DATA)]  # fmt: skip
    lines = [
        {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body}
        for number, body in enumerate(bodies)
    ]
    file_id = provider.upload(lines)
    created = provider.api.batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = provider.end(created.id)
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
