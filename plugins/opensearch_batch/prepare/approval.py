"""What is asked before a plan is paid for: whether at all, about which rows, in which words. Values in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import orjson
from msgspec import UNSET
from msgspec.structs import replace

from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.shards import Shard
from opensearch_batch.prepare.plan import Plan, counted
from opensearch_batch.prepare.prices import Price
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.spec import BatchSpec
from opensearch_batch.unsigned import unsigned

SAMPLES = 3
MOST_CHARACTERS = 700
"""Of a request that is shown."""


def must_ask(plan: Plan, above_usd: float) -> bool:
    """Whether somebody has to say yes. What is not known is not taken for cheap: not an unknown price,
    answers without a bound, or images of unknown tokens.
    """
    if not plan.records:
        return False
    if plan.estimated_usd is None or plan.output_tokens_at_most is None or plan.has_uncounted_images:
        return True
    return plan.estimated_usd > above_usd


def of_shards(plan: Plan, shards: Sequence[Shard]) -> Plan:
    """Return the part of the plan that these of its shards are, at the plan's mean price."""
    if len(shards) == plan.shards:
        return plan
    records, tokens = sum(shard.records for shard in shards), sum(shard.estimated_tokens for shard in shards)
    output = plan.output_tokens_at_most
    if output and plan.records:
        output = output * records // plan.records
    return replace(
        plan,
        records=records,
        shards=len(shards),
        bytes=sum(shard.bytes for shard in shards),
        estimated_tokens=tokens,
        output_tokens_at_most=output,
        images=sum(shard.images or 0 for shard in shards) or UNSET,
        estimated_usd=None if plan.estimated_usd is None else _usd(plan.price, Usage(tokens, output or 0)),
    )


def _usd(price: Price | None, usage: Usage) -> float | None:
    return price.of(usage) if price else None


def subject_of(plan: Plan, spec: BatchSpec) -> str:
    """Return the question in a line."""
    usd = plan.estimated_usd
    money = "at a price that is not known" if usd is None else f"for about ${usd:,.{2 if usd >= 1 else 4}f}"
    return scrubbed(f"{spec.name}: send {plan.records:,} rows to {spec.model.name} {money}?")


def body_of(plan: Plan, whole: Plan, spec: BatchSpec, requests: Iterable[bytes], until: str) -> str:
    """Return the question in Markdown, keys taken out: `plan` is what is asked for, `whole` the run's plan, `requests`
    the sample.
    """
    lines = [f"- **{name}:** {value}" for name, value in _facts(plan, whole, spec, until).items() if value]
    has_images = spec.input.images is not None
    shown = [f"```json\n{shown_request(request, has_images=has_images)}\n```" for request in requests]
    return "\n".join([*(scrubbed(line) for line in lines), "", "**Sample requests**", "", *shown])


def _facts(plan: Plan, whole: Plan, spec: BatchSpec, until: str) -> dict[str, str]:
    already = whole.records - plan.records
    return {
        "Rows": f"{plan.records:,} in {counted(plan.shards, 'shard')}",
        "Paid already": f"{counted(already, 'row')} of this run, not counted here" if already else "",
        "Model": f"{_code(spec.model.name)} of {spec.model.provider}, {_code(spec.model.endpoint)}",
        "Input": _code(spec.input.uri),
        "Tokens": _tokens(plan),
        "Price": _price(plan, spec),
        "Not in the price": _more(plan, spec),
        "Asked because": f"`limits.ask_above_usd` is ${spec.limits.ask_above_usd:g}",
        "Without an answer": f"rejected at {until}. A rejected run sends nothing and writes nothing.",
    }


def _tokens(plan: Plan) -> str:
    inward = f"about {plan.estimated_tokens:,} in (bytes / 4{_image_tokens(plan)})"
    if plan.output_tokens_at_most is None:
        return f"{inward}; out: not known, the answers have no bound"
    return f"{inward}, at most {plan.output_tokens_at_most:,} out" if plan.output_tokens_at_most else inward


def _image_tokens(plan: Plan) -> str:
    if not plan.images:
        return ""
    images = counted(plan.images, "image")
    return f"; and {images}, {plan.image_tokens:,} each" if plan.image_tokens else f"; {images} not counted"


def _price(plan: Plan, spec: BatchSpec) -> str:
    if plan.estimated_usd is None:
        hourly = plan.usd_per_instance_hour
        if hourly is not None:
            return f"not known: the provider bills machines, ${hourly:g} an instance-hour, and no plan knows how long"
        return f"not known for {_code(spec.model.name)}; `limits.usd_per_million_tokens` would tell"
    origin = f" at {plan.price_origin}" if plan.price_origin else ""
    only = " for the input alone" if plan.output_tokens_at_most is None else ""
    return f"about ${plan.estimated_usd:,.4f}{only}{origin}"


def _more(plan: Plan, spec: BatchSpec) -> str:
    parts = []
    if plan.has_uncounted_images:
        parts.append("the images' tokens, which `input.images.tokens` would tell")
    if spec.limits.repair_rounds:
        parts.append("rows that fail and go again in a repair round, which does not ask")
    if plan.predictions:
        parts.append(f"up to {plan.predictions} online predictions of the parity check")
    return "; ".join(parts)


def _code(text: str) -> str:
    """As Markdown that shows the text as it is; a backtick would end it."""
    inside = re.sub(r"[`\s]+", " ", text)
    return f"`{inside}`"


def shown_request(raw: bytes, *, has_images: bool = False) -> str:
    """Return a request as indented JSON, keys taken out before the cut, and with images what signs a URL. No line of
    JSON can end a block of Markdown.
    """
    text = scrubbed(orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2).decode())
    text = unsigned(text) if has_images else text
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"
