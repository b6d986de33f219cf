"""Of the spec: what can be known without Airflow, a cluster or a key."""

from __future__ import annotations

from opensearch_batch import providers
from opensearch_batch.check.lines import CannotKnow, Check
from opensearch_batch.check.readable import readable
from opensearch_batch.errors import BudgetExceeded
from opensearch_batch.placeholders import is_uri
from opensearch_batch.prepare.chunks import splitter_of
from opensearch_batch.prepare.lengths import text_limit
from opensearch_batch.prepare.libraries import require_libraries
from opensearch_batch.prepare.output_schema import WHERE as SCHEMA
from opensearch_batch.prepare.output_schema import output_schema_of, parameters_of
from opensearch_batch.prepare.parameters import unknown_parameters
from opensearch_batch.prepare.prices import Tariff, known_straggler_tariff, tariff_of
from opensearch_batch.sources.templates import WHERE as TEMPLATE
from opensearch_batch.sources.templates import Template, wording_of
from opensearch_batch.spec import BatchSpec


def spec_checks(spec: BatchSpec, *, reads_any: bool = True) -> list[list[Check]]:
    """With `reads_any` objects of any storage are read, with Airflow's connections; without it only files of this
    machine.
    """
    return [
        [Check("libraries", lambda: _libraries(spec)), Check("model.parameters", lambda: _parameters(spec))],
        *([[Check(SCHEMA, lambda: _schema(spec, reads_any))]] if spec.model.output_schema is not None else []),
        *([[Check(TEMPLATE, lambda: _template(spec, reads_any))]] if is_uri(spec.input.template or "") else []),
        [Check("price", lambda: _price(spec))],
        *([[Check("price of stragglers", lambda: _straggler_price(spec))]] if spec.limits.max_straggler_usd else []),
        [Check("length of a text", lambda: _length(spec))],
        *([[Check("input.chunks", lambda: _chunks(spec))]] if spec.input.chunks else []),
    ]


def _libraries(spec: BatchSpec) -> str:
    require_libraries(spec)
    return f"those of provider {spec.model.provider} and of format {spec.output.format} are installed"


def _parameters(spec: BatchSpec) -> str:
    if strange := unknown_parameters(spec.model):
        raise CannotKnow(f"{', '.join(strange)}: not known to the vendor's SDK; a compatible server may know it")
    return ", ".join(spec.model.parameters) or "none"


def _schema(spec: BatchSpec, reads_any: bool) -> str:
    if isinstance(said := spec.model.output_schema, str) and is_uri(said):
        spec = spec.override({SCHEMA: readable(SCHEMA, said, reads_any=reads_any)})
    schema = output_schema_of(spec)
    assert schema is not None
    told = "is told" if parameters_of(spec, schema) != parameters_of(spec, None) else "is not told: answers are checked"
    return f"an object of {', '.join(schema.columns)}; the vendor {told}"


def _template(spec: BatchSpec, reads_any: bool) -> str:
    uri = readable(TEMPLATE, spec.input.template or "", reads_any=reads_any)
    wording = wording_of(spec.override({TEMPLATE: uri}).input)
    assert isinstance(wording, Template)
    return f"asks each row for {', '.join(wording.fields) or 'nothing'}"


def _straggler_price(spec: BatchSpec) -> str:
    return _told(known_straggler_tariff(spec))


def _price(spec: BatchSpec) -> str:
    vendor, limits = providers.get(spec.model.provider), spec.limits
    if tariff := tariff_of(vendor, spec.model.name, limits.usd_per_million_tokens):
        return _told(tariff)
    if limits.max_cost_usd is not None:
        raise BudgetExceeded(
            f"no price is known of {spec.model.name}, so max_cost_usd cannot hold: set limits.usd_per_million_tokens"
        )
    raise CannotKnow(f"no price is known of {spec.model.name}; limits.usd_per_million_tokens gives one")


def _told(tariff: Tariff) -> str:
    above = {bound: f" above {bound} tokens a request" if bound else "" for bound, _ in tariff.steps}
    steps = (f"${price.input_usd:g} in, ${price.output_usd:g} out{above[bound]}" for bound, price in tariff.steps)
    return f"{'; '.join(steps)}, a million tokens ({tariff.origin})"


def _length(spec: BatchSpec) -> str:
    vendor = providers.get(spec.model.provider)
    if (limit := text_limit(spec, vendor)) is None:
        if vendor.cuts_texts(spec.model.name, spec.model.parameters):
            return "the vendor cuts what is too long"
        raise CannotKnow(f"the limit of {spec.model.name} is not known; input.max_text_tokens gives one")
    counted = "told by bytes" if vendor.tokenizer(spec.model.name) is None else "counted with the model's tokenizer"
    return f"{limit.tokens} tokens, {counted}; longer ones: {spec.input.too_long}"


def _chunks(spec: BatchSpec) -> str:
    section = spec.input.chunks
    assert section is not None
    splitter_of(spec, section, providers.get(spec.model.provider))
    counted = " of the model's own tokenizer" if section.unit == "tokens" else ""
    beside = "with" if section.keep_text else "without"
    return f"at most {section.size} {section.unit}{counted}, {section.overlap} overlap; {beside} their texts in results"
