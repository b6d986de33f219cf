"""`python -m live`: the contract and a batch of ten rows against your own cluster and provider, priced and confirmed
first.

It reads the connections as Airflow does (AIRFLOW_CONN_OPENSEARCH_DEFAULT, AIRFLOW_CONN_OPENAI_DEFAULT, or the
configured secrets backend; no Airflow database) and leaves a transcript without secrets.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk.exceptions import AirflowNotFoundException

from live.masking import Mask
from live.run import LiveRun
from live.state import State
from live.summary import Summary
from live.target import Target, read_target
from live.ten_rows import StillRunning, make_spec, plan_rows
from live.transcript import Transcript
from opensearch_batch import providers
from opensearch_batch.errors import BatchError, OutcomeUnknown, SpecError, Transient
from opensearch_batch.prepare.plan import Plan

VENDOR = providers.DEFAULT
GOOD, BAD, USAGE, GOES_ON = 0, 1, 2, 3


def main(argv: list[str] | None = None) -> int:
    """0: everything held and ten rows were answered; 1: not; 2: nothing could begin; 3: unfinished, run it again."""
    given = _arguments(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("opensearch_batch").setLevel(logging.WARNING)  # what is planned is said below
    folder = given.folder.resolve()
    try:
        target = read_target(given.opensearch_conn_id, given.provider_conn_id, VENDOR)
        if not target.provider_conn.password:
            raise SpecError(f"connection {given.provider_conn_id!r} has no password; put the provider's key there")
        return _run(given, folder, target, State(folder / "unfinished.json"))
    except (SpecError, AirflowNotFoundException) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m live", description=__doc__)
    parser.add_argument("--opensearch-conn-id", default="opensearch_default", help="default: %(default)s")
    parser.add_argument("--provider-conn-id", default=VENDOR.CONNECTION, help="default: %(default)s")
    parser.add_argument("--model", default="text-embedding-3-small", help="embedding model; default: %(default)s")
    parser.add_argument("--usd-per-million-tokens", type=float, help="batch price, for a model without a known one")
    parser.add_argument("--folder", type=Path, default=Path("live-transcripts"), help="default: %(default)s")
    parser.add_argument("--poll-seconds", type=float, default=60, help="between two looks; default: %(default)s")
    parser.add_argument(
        "--timeout-hours", type=float, default=VENDOR.window_hours({}) + 1, help="of waiting; default: %(default)s"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--keep", action="store_true", help="leave connector, group and model in the cluster")
    given = parser.parse_args(argv)
    if given.poll_seconds <= 0 or given.timeout_hours <= 0:
        parser.error("--poll-seconds and --timeout-hours are above 0")
    return given


def _run(given: argparse.Namespace, folder: Path, target: Target, state: State) -> int:
    screen = target.mask.without_names()

    def say(text: str) -> None:
        print(screen.text(text), flush=True)

    about = {"cluster": target.cluster, "provider": target.provider, "model": given.model}
    begun = state.get("begun")
    if begun and begun["about"] != about:
        raise SpecError(
            f"{state.path} is an unfinished run with {begun['about']}, this one is with {about}. "
            "Finish that one, or give another --folder."
        )
    now = datetime.now(UTC)
    name = begun["name"] if begun else f"opensearch-batch-live-{now:%Y%m%dt%H%M%S}-{secrets.token_hex(2)}"
    own = folder / name
    spec = make_spec(name, given.model, own, given.usd_per_million_tokens)
    plan, shard = plan_rows(spec, own)
    if begun:
        say(f"going on with {name}, begun {begun['date']}: nothing is submitted twice")
    else:
        say(_intention(given, target, plan, name, own))
        if given.yes and plan.estimated_usd is None:
            shutil.rmtree(own)
            raise SpecError(f"no price of {given.model} is known: give --usd-per-million-tokens, or confirm by hand")
        if not given.yes and not _confirmed():
            shutil.rmtree(own)
            say("nothing was sent")
            return BAD
        begun = {"name": name, "date": f"{now:%Y-%m-%dT%H%M%S}", "about": about}
        state.set("begun", begun)
    _show_package_log(screen)
    noted = state.get("about", {}).get("transcript")
    path = Path(noted) if noted else folder / f"live-{begun['date']}.jsonl"
    live = LiveRun(
        target=target,
        vendor=VENDOR,
        spec=spec,
        plan=plan,
        shard=shard,
        state=state,
        transcript=Transcript(path, target.mask),
        summary=Summary(begun["date"], model=given.model),
        say=say,
        poll_seconds=given.poll_seconds,
        timeout_seconds=given.timeout_hours * 3600,
    )
    return _finish(live, keep=given.keep)


def _finish(live: LiveRun, *, keep: bool) -> int:
    """Whatever happens a page is written; what may go on is left as it is."""
    try:
        live.go()
    except KeyboardInterrupt:
        return _leave(live, "it was interrupted")
    except (StillRunning, Transient) as error:
        if isinstance(error, OutcomeUnknown) or live.may_have_been_submitted or isinstance(error, StillRunning):
            return _leave(live, str(error))
        live.summary.error = str(error)
    except BatchError as error:
        live.summary.error = str(error)
        if live.may_have_been_submitted:
            return _leave(live, str(error))
    if not keep:
        live.remove()
    else:
        live.summary.left += [f"{kind} {made} (--keep)" for kind, made in live.state.get("made", {}).items()]
    live.transcript.event("end", good=live.summary.good, left=live.summary.left)
    live.state.forget()
    if live.summary.error:
        live.say(f"error: {live.summary.error}")
    for line in live.summary.left:
        live.say(f"left in the cluster: {line}")
    live.say(f"transcript {live.transcript.path}\nsummary    {live.write_summary()}")
    return GOOD if live.summary.good else BAD


def _leave(live: LiveRun, why: str) -> int:
    live.transcript.event("unfinished", why=why)
    live.summary.error = f"unfinished: {why}"
    live.write_summary()
    live.say(
        f"unfinished: {why}\n"
        f"What was made and submitted is left as it is. The same command with --folder {live.state.path.parent} "
        "goes on from here and pays nothing twice."
    )
    return GOES_ON


def _intention(given: argparse.Namespace, target: Target, plan: Plan, name: str, own: Path) -> str:
    price = (
        "no price of this model is known (--usd-per-million-tokens)"
        if plan.estimated_usd is None
        else f"about ${plan.estimated_usd:.8f} (${plan.input_usd_per_million:g} a million tokens, batch price)"
    )
    afterwards = "and leaves them there (--keep)" if given.keep else "and removes them afterwards"
    return (
        f"cluster    {target.cluster} (connection {given.opensearch_conn_id})\n"
        f"provider   {target.provider} (connection {given.provider_conn_id}), model {given.model}\n"
        f"makes      in the cluster a connector, a model group and a model, each called {name}, {afterwards};\n"
        "           at the provider one input file and one batch, whose files stay there\n"
        f"sends      {plan.records} rows, {plan.bytes} bytes, an estimated {plan.estimated_tokens} tokens\n"
        f"costs      {price}\n"
        f"writes     {own.parent}"
    )


def _confirmed() -> bool:
    try:
        return input('Type "yes" to spend that: ').strip().lower() == "yes"
    except (EOFError, KeyboardInterrupt):
        print()
        return False


def _show_package_log(mask: Mask) -> None:
    """What the package logs in a task is said here, masked."""

    class Masked(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return mask.text(super().format(record))

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Masked("        %(message)s"))
    for name in ("opensearch_batch", "live"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
