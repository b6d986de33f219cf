"""Images by URL: which values of a row are some, how a vendor takes them, who refuses them, and what is not shown."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.shards import Shard
from opensearch_batch.image_section import ImageSection
from opensearch_batch.limit_section import LimitSection
from opensearch_batch.prepare.approval import body_of, must_ask, of_shards, shown_request
from opensearch_batch.prepare.plan import Plan, make_plan
from opensearch_batch.prepare.preparation import shard_limits
from opensearch_batch.prepare.prices import Price
from opensearch_batch.prepare.shards import Request
from opensearch_batch.providers.openai import provider as openai
from opensearch_batch.sources.images import image_urls
from opensearch_batch.sources.records import WrongRow
from opensearch_batch.sources.rows import Place
from opensearch_batch.spec import BatchSpec

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
URL = "https://img.example/a.jpg"
DATA = "data:image/png;base64,iVBORw0KGgo="
SIGNED = "https://login:not-a-password@bucket.example/a.jpg?X-Amz-Credential=AK&X-Amz-Signature=not-a-real-one"
FIELD = ImageSection(field="photo")
SPEC: dict[str, Any] = {
    "name": "captions",
    "model": {"name": "gpt-4o-mini", "endpoint": CHAT, "parameters": {"max_tokens": 50}},
    "input": {"uri": "file:///in.jsonl", "images": {"field": "photo"}},
    "output": {"uri": "file:///out"},
}


def found(value: Any, most: int = 3) -> tuple[str, ...]:
    return image_urls(FIELD, most)({"id": "a", "photo": value})


def why(row: dict[str, Any], section: ImageSection = FIELD) -> str:
    with pytest.raises(WrongRow) as caught:
        image_urls(section, 3)(row)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        (URL, (URL,)),
        ([URL], (URL,)),
        ((URL, DATA), (URL, DATA)),
        ([URL, URL], (URL, URL)),
        ("HTTP://img.example:8080", ("HTTP://img.example:8080",)),
        ("https://[::1]/a", ("https://[::1]/a",)),
        ("https://img.example/bücher/猫.jpg", ("https://img.example/bücher/猫.jpg",)),
        (SIGNED, (SIGNED,)),
        (DATA, (DATA,)),
        ("data:image/svg+xml;base64,aaaa", ("data:image/svg+xml;base64,aaaa",)),
    ],
)
def test_a_url_or_a_list_of_urls_is_taken_as_it_stands(value: Any, urls: tuple[str, ...]) -> None:
    assert found(value) == urls


NO_URL = "is no URL: http://…, https://…, or data:image/…;base64,…, without white space"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the row has no image in 'photo' (it is empty)"),
        ("", "the row has no image in 'photo' (it is empty)"),
        ([], "the row has no image in 'photo' (it is empty)"),
        ([None], "the row has no image in 'photo' (it is empty)"),
        (7, "the image in 'photo' is int, and no URL"),
        ({"url": URL}, "the image in 'photo' is dict, and no URL"),
        (URL.encode(), "the image in 'photo' is bytes, and no URL"),
        ([URL, None], "image 2 of 2 in 'photo' is NoneType, and no URL"),
        ([URL, [URL]], "image 2 of 2 in 'photo' is list, and no URL"),
        ([URL, ""], f"image 2 of 2 in 'photo' {NO_URL}"),
        (f"[{URL!r}]", f"the image in 'photo' {NO_URL}"),
        ("photos/a.jpg", f"the image in 'photo' {NO_URL}"),
        ("s3://bucket/a.jpg", f"the image in 'photo' {NO_URL}"),
        ("file:///etc/passwd", f"the image in 'photo' {NO_URL}"),
        ("javascript:alert(1)", f"the image in 'photo' {NO_URL}"),
        ("https://", f"the image in 'photo' {NO_URL}"),
        ("https:///a.jpg", f"the image in 'photo' {NO_URL}"),
        ("https://@/a.jpg", f"the image in 'photo' {NO_URL}"),
        ("https://[::1/a", f"the image in 'photo' {NO_URL}"),
        (f" {URL}", f"the image in 'photo' {NO_URL}"),
        (f"{URL}\n", f"the image in 'photo' {NO_URL}"),
        ("https://img.example/a b.jpg", f"the image in 'photo' {NO_URL}"),
        ("https://img.example/a\0.jpg", f"the image in 'photo' {NO_URL}"),
        ("https://img.example/\ud800.jpg", f"the image in 'photo' {NO_URL}"),
        ('https://img.example/a"b.jpg', f"the image in 'photo' {NO_URL}"),
        ("data:text/html;base64,aaaa", "the image in 'photo' is a data URL other than data:image/…;base64,…"),
        ("data:image/png,aaaa", "the image in 'photo' is a data URL other than data:image/…;base64,…"),
        (DATA.upper(), "the image in 'photo' is a data URL other than data:image/…;base64,…"),
        ("data:image/png;base64,", "the image in 'photo' is a data URL other than data:image/…;base64,…"),
        ("data:image/png;base64,a b", "the image in 'photo' is a data URL other than data:image/…;base64,…"),
        ([URL] * 4, "the row has 4 images in 'photo', and a request takes 3"),
    ],
)
def test_what_is_no_image_is_named_by_its_field(value: Any, reason: str) -> None:
    assert why({"id": "a", "photo": value}) == reason


@pytest.mark.parametrize(
    ("row", "urls"),
    [
        ({"photos": {"url": URL}}, (URL,)),
        ({"photos": [{"url": URL}, {"url": DATA, "alt": "x"}]}, (URL, DATA)),
        ({"photos": [{"url": [URL, DATA]}, {"alt": "no url"}]}, (URL, DATA)),
        ({"photos.url": URL, "photos": {"url": "other"}}, (URL,)),
        ({"photos.url": None, "photos": [{"url": URL}]}, (URL,)),
    ],
)
def test_a_dotted_path_reaches_into_objects_and_into_the_objects_of_lists(
    row: dict[str, Any], urls: tuple[str, ...]
) -> None:
    assert image_urls(ImageSection(field="photos.url"), 3)(row) == urls


@pytest.mark.parametrize(
    "photos", [None, [], {}, [{}], {"url": []}, [{"url": None}], "https://img.example/a.jpg", [[]]]
)
def test_a_dotted_path_that_leads_nowhere_is_no_image(photos: Any) -> None:
    assert why({"photos": photos}, ImageSection(field="photos.url")).startswith("the row has no image in 'photos.url'")


def test_a_row_without_the_field_says_what_it_has() -> None:
    assert why({"id": "a", "text": "x"}) == "the row has no image in 'photo' (it has id, text)"


def test_no_reason_has_a_url() -> None:
    for value in (f" {SIGNED}", [SIGNED, 7], [SIGNED] * 4, f"{SIGNED}\nx"):
        assert "not-a-" not in why({"photo": value})
        assert "bucket" not in why({"photo": value})


def test_a_template_makes_one_url() -> None:
    section = ImageSection(url="https://img.example/{sku}/{meta[no]}.jpg")
    of = image_urls(section, 1)
    assert of({"sku": "k-7", "meta": {"no": 2}}) == ("https://img.example/k-7/2.jpg",)
    assert why({"sku": "a b", "meta": {"no": 2}}, section).startswith("the image in input.images.url is no URL")
    assert why({"sku": None, "meta": {"no": 2}}, section) == "input.images.url asks for 'sku', which is empty"
    assert why({"sku": "a", "meta": {"no": ""}}, section) == "input.images.url asks for 'meta[no]', which is empty"
    assert image_urls(ImageSection(url="https://img.example/{no[0]}"), 1)({"no": [0, 1]}) == ("https://img.example/0",)
    assert why({"sku": "a", "meta": 7}, section).startswith("input.images.url asks for ")
    assert why({"meta": {}}, section) == "input.images.url asks for 'sku', the row has meta"


@pytest.mark.parametrize("detail", [None, "low"])
def test_a_chat_has_the_images_after_the_text_of_its_last_message(detail: str | None) -> None:
    before = [{"role": "system", "content": "Be short."}]
    made = openai.request("a", "What is it?", "gpt-4o", CHAT, {"messages": before, "max_tokens": 9})
    line = openai.with_images(made, [URL, DATA], detail)
    closely = {"detail": detail} if detail else {}
    assert line == {
        **made,
        "body": {
            "model": "gpt-4o",
            "max_tokens": 9,
            "messages": [
                *before,
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": URL, **closely}},
                        {"type": "image_url", "image_url": {"url": DATA, **closely}},
                    ],
                },
            ],
        },
    }
    assert openai.texts(line) == ["What is it?"]
    assert openai.request_id(line) == "a"


def test_a_response_has_them_in_a_message_with_the_detail_always() -> None:
    made = openai.request("a", "What is it?", "gpt-4o", RESPONSES, {"instructions": "Be short."})
    line = openai.with_images(made, [URL], None)
    assert line["body"] == {
        "model": "gpt-4o",
        "instructions": "Be short.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is it?"},
                    {"type": "input_image", "image_url": URL, "detail": "auto"},
                ],
            }
        ],
    }
    assert openai.texts(line) == ["What is it?"]
    (_, image) = openai.with_images(made, [URL], "high")["body"]["input"][0]["content"]
    assert image["detail"] == "high"


def test_texts_of_requests_without_images_are_read_as_before() -> None:
    assert openai.texts(openai.request("a", ["x", "y"], "m", "/v1/embeddings", {})) == ["x", "y"]
    assert openai.texts(openai.request("a", "x", "m", CHAT, {})) == ["x"]
    assert openai.texts(openai.request("a", "x", "m", RESPONSES, {})) == ["x"]


def spec_of(**sections: Any) -> BatchSpec:
    return BatchSpec.check({**SPEC, **sections})


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"name": "text-embedding-3-small"}, "input.images: /v1/embeddings takes texts alone"),
        (
            {"provider": "bedrock", "name": "anthropic.claude-3-haiku-20240307-v1:0"},
            "input.images: records of Bedrock take no image by URL",
        ),
        ({"provider": "bedrock", "name": "amazon.nova-lite-v1:0"}, "records of Bedrock take no image by URL"),
        ({"provider": "cohere", "name": "embed-v4.0"}, "input.images: a row of a dataset has one text"),
        ({"provider": "sagemaker", "name": "llm"}, "input.images: containers differ"),
    ],
)
def test_who_takes_no_images_by_url_refuses_the_spec(model: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        spec_of(model={"job": _job_of(model.get("provider", "")), **model})


def _job_of(provider: str) -> dict[str, Any]:
    s3 = {"files_uri": "s3://bucket/files"}
    role = "arn:aws:iam::123456789012:role/batch"
    return {"bedrock": {**s3, "role_arn": role}, "sagemaker": {**s3, "instance_type": "ml.m5.large"}}.get(provider, {})


def test_every_provider_tells_whether_it_takes_images() -> None:
    each = {(provider.NAME, endpoint): provider for provider in providers.PROVIDERS for endpoint in provider.ENDPOINTS}
    takes = {("openai", CHAT), ("openai", RESPONSES)}
    assert takes < {*each}
    for (name, endpoint), provider in each.items():
        if (name, endpoint) in takes:
            assert provider.images_a_request("m", endpoint, None) == 1500
        else:
            with pytest.raises(SpecError, match=r"^input\.images: "):
                provider.images_a_request("m", endpoint, None)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ({}, "needs one of field .* and url"),
        ({"field": "photo", "url": "https://img.example/{sku}"}, "needs one of field .* and url"),
        ({"field": "photo", "detail": "close"}, "input.images.detail 'close' is not one of auto, low, high, original"),
        ({"url": "https://img.example/{sku"}, "input.images.url is no template"),
        ({"field": "photo", "tokens": 0}, "input.images.tokens: .* greater than or equal to 1"),
        ({"feild": "photo"}, "unknown key 'input.images.feild', did you mean 'field'"),
        ({"url": "https://img.example/{{ sku }}.jpg"}, "input.images.url: a field stands in single braces, as {sku}"),
        ("https://img.example/a.jpg", "input.images: a section with fields of its own .e.g. images: {url: "),
    ],
)
def test_a_section_that_is_not_one_is_refused(images: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        spec_of(input={"uri": "file:///in.jsonl", "images": images})


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"input": {**SPEC["input"], "chunks": {"size": 100}}}, "no chunk has an image of its own"),
        ({"reuse": {"uri": "file:///vectors"}}, "reuse is for vectors of texts"),
        (
            {"input": {**SPEC["input"], "uri": "opensearch://c/i"}, "write_back": {"vector_field": "v"}},
            "write_back is for vectors of texts",
        ),
        (
            {"limits": {"max_cost_usd": 5}},
            "max_cost_usd cannot hold: no plan knows the tokens of an image. Say input.imag",
        ),
        ({"limits": {"max_enqueued_tokens": 5}}, "limits.max_enqueued_tokens cannot hold: no plan knows the tokens"),
        ({"limits": {"max_tokens": 5}}, "limits.max_tokens cannot hold: no plan knows the tokens of an image"),
        (
            {"wait": {"finish_by": 8}, "limits": {"max_straggler_usd": 5}},
            "cannot hold beside input.images",
        ),
    ],
)
def test_what_does_not_go_with_images_is_refused(sections: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        spec_of(**sections)
    with_tokens = {"input": {**SPEC["input"], "images": {"field": "photo", "tokens": 85}}}
    limits = {"max_cost_usd": 5, "max_enqueued_tokens": 5000, "max_tokens": 5000}
    assert spec_of(limits=limits, **with_tokens).input.images is not None


SHARDS = [Shard(0, "mem://0", "a", 10, 1000, 6000, images=12), Shard(1, "mem://1", "b", 5, 500, 4000, images=5)]


def plan_of(**more: Any) -> Plan:
    return make_plan(SHARDS, "key", Price(2.0, 8.0), dry_run=False, max_cost_usd=None, **more)


def test_a_plan_says_that_images_are_not_counted_and_somebody_is_asked() -> None:
    plan = plan_of()
    assert plan.images == 17
    assert "about $0.0200 without the images; 17 images, tokens not counted (input.images.tokens)" in str(plan)
    assert must_ask(plan, 1_000_000)
    body = body_of(plan, plan, spec_of(limits={"ask_above_usd": 1}), [], "tomorrow")
    assert "- **Tokens:** about 10,000 in (bytes / 4; 17 images not counted)\n" in body
    assert "- **Not in the price:** the images' tokens, which `input.images.tokens` would tell" in body
    assert of_shards(plan, SHARDS[1:]).images == 5


def test_a_plan_with_told_tokens_says_so_and_nobody_is_asked_below_the_limit() -> None:
    plan = plan_of(image_tokens=765)
    assert "about $0.0200; 17 images, 765 tokens each (input.images.tokens)" in str(plan)
    assert not must_ask(plan, 1)
    body = body_of(plan, plan, spec_of(limits={"ask_above_usd": 1}), [], "tomorrow")
    assert "(bytes / 4; and 17 images, 765 each)" in body
    assert Plan.from_dict(plan.to_dict()) == plan


def test_a_plan_without_images_says_nothing_of_them() -> None:
    plan = make_plan([Shard(0, "mem://0", "a", 1, 9, 2)], "key", None, dry_run=False, max_cost_usd=None)
    assert "image" not in str(plan)
    assert "images" not in plan.to_dict()


def test_no_shard_has_more_tokens_than_may_be_enqueued_whatever_its_bytes() -> None:
    limits = shard_limits(LimitSection(max_enqueued_tokens=1000), openai)
    assert limits.allow(1, 400, 1, 4 * 1000)
    assert not limits.allow(1, 400, 1, 4 * 1000 + 1)
    assert "raise limits.max_enqueued_tokens" in limits.refusal(Request(b"x", 8000, Place("mem://in", 1), images=2))
    assert shard_limits(LimitSection(max_enqueued_tokens=1000, max_tokens=10), openai).tokens_by == "max_tokens"


def test_a_request_too_large_by_its_images_says_what_to_send_instead() -> None:
    limits = shard_limits(LimitSection(max_bytes=10), openai)
    said = limits.refusal(Request(b"x" * 11, 1, Place("mem://in", 1), images=1))
    assert "Send fewer images, or a data URL's image by http" in said


def test_a_sample_shows_no_signature_and_no_content_of_an_image() -> None:
    line = openai.with_images(openai.request("a", "x", "m", CHAT, {}), [SIGNED, DATA], None)
    shown = shown_request(orjson.dumps(line), has_images=True)
    assert "https://***@bucket.example/a.jpg?***" in shown
    assert "data:image/png;base64,***" in shown
    assert "not-a-" not in shown
