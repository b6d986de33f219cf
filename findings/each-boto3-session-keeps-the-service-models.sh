#!/usr/bin/env bash
# Each boto3 session reads the models of AWS's services (and of all endpoints) from the disk anew and keeps them: a
# further session with a client of S3, Bedrock or SageMaker takes 8 to 30 MB, a further client of the same session less
# than 1. The advice for threads is a session each. aiobotocore's sessions are alike.
# Hurts: who gives each thread, task or wait of one long process a session: fifty waits for jobs at SageMaker and
# Bedrock were 1 GB of an Airflow triggerer. A `data_loader` that the sessions share is the way out (register_component
# of botocore's session; Airflow's amazon provider has one for its triggers, and none for its operators).
# Versions: boto3 1.43.117, botocore 1.43.117, aiobotocore 3.10.0, Python 3.11. Seen on 2026-11-29.
# Guess: models are read once a process; a session is as small as a client.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.43.117 botocore==1.43.117 aiobotocore==3.10.0

export AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake AWS_DEFAULT_REGION=us-east-1
seen=$("$folder/venv/bin/python" -W ignore - <<'PYTHON'
import asyncio
import contextlib
import gc
import tracemalloc

import aiobotocore.session
import boto3
import botocore.loaders

FURTHER = 4
SERVICES = ("s3", "bedrock", "sagemaker")


def told(before, after):
    megabytes = (after - before) / FURTHER / 1e6
    return "less than 2 MB" if megabytes < 2 else "more than 6 MB" if megabytes > 6 else f"{megabytes:.1f} MB"


def traced():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def taken(make):
    kept = [make()]
    before = traced()
    kept += [make() for _ in range(FURTHER)]
    return told(before, traced())


async def taken_async(service):
    async with contextlib.AsyncExitStack() as stack:
        async def make():
            await stack.enter_async_context(aiobotocore.session.get_session().create_client(service))

        await make()
        before = traced()
        for _ in range(FURTHER):
            await make()
        return told(before, traced())


def sharing(service):
    session = boto3.Session()
    session._session.register_component("data_loader", LOADER)
    return session.client(service)


tracemalloc.start()
LOADER = botocore.loaders.create_loader()
for service in SERVICES:
    one = boto3.Session()
    print(f"{service}, a further session: {taken(lambda: boto3.Session().client(service))}")
    print(f"{service}, a further client of one session: {taken(lambda: one.client(service))}")
    print(f"{service}, a further session with a shared loader: {taken(lambda: sharing(service))}")
    print(f"{service}, a further session of aiobotocore: {asyncio.run(taken_async(service))}")
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
s3, a further session: more than 6 MB
s3, a further client of one session: less than 2 MB
s3, a further session with a shared loader: less than 2 MB
s3, a further session of aiobotocore: more than 6 MB
bedrock, a further session: more than 6 MB
bedrock, a further client of one session: less than 2 MB
bedrock, a further session with a shared loader: less than 2 MB
bedrock, a further session of aiobotocore: more than 6 MB
sagemaker, a further session: more than 6 MB
sagemaker, a further client of one session: less than 2 MB
sagemaker, a further session with a shared loader: less than 2 MB
sagemaker, a further session of aiobotocore: more than 6 MB
EXPECTED
