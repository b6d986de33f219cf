#!/usr/bin/env bash
# DynamoDBToS3Operator of Airflow writes every number of a table as a float. DynamoDB keeps 38 digits, a float has 15 to
# 17: the id 1765432109876543211 (as of a post, or any snowflake) is written as 1.7654321098765432e+18, which reads as
# 1765432109876543232. Ids that lie near each other become one. Small ones change their form: 7 is written 7.0, so "7"
# as text is another key. The files are valid, the task is a success. boto3 itself gives and takes exact numbers.
# Also: each try writes under new random names. The files of a try that broke off stay, a retry puts all rows beside.
# Hurts: who lays a table out on S3 for a nightly batch: vectors come back under ids that the table does not have, or
# that belong to another row, and cannot be told apart again; after a retry rows are embedded and paid twice.
# process_func with a number written as it is (below) cures the first, a prefix for each try the second.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-amazon 9.39.0, moto 5.2.5, Python 3.11. Seen on 2026-11-29.
# Guess: whole numbers as whole numbers, or an error for a number that a float can't hold.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0 \
  'moto[dynamodb,s3]==5.2.5'

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake AWS_DEFAULT_REGION=us-east-1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
from decimal import Decimal

import boto3
from airflow.providers.amazon.aws.transfers.dynamodb_to_s3 import DynamoDBToS3Operator
from moto import mock_aws

IDS = [7, 1765432109876543211, 1765432109876543212, 1765432109876543213]


def lines(prefix):
    """Of all objects below the prefix: how many, and their lines."""
    objects = list(boto3.resource("s3").Bucket("corpus").objects.filter(Prefix=prefix))
    return len(objects), [line for one in objects for line in one.get()["Body"].read().decode().splitlines()]


def export(prefix, **options):
    DynamoDBToS3Operator(
        task_id="out", dynamodb_table_name="posts", s3_bucket_name="corpus", s3_key_prefix=prefix,
        source_aws_conn_id=None, dest_aws_conn_id=None, **options,
    ).execute({})


def tell(name, prefix):
    _, written = lines(prefix)
    ids = [json.loads(line)["id"] for line in written]
    print(f"{name}: {min(written)} to {max(written)}")
    known = sum(int(id) in IDS for id in set(ids))
    print(f"{name}: {len(set(ids))} ids in {len(ids)} rows, {known} of them in the table")


def whole(item):
    numbers = {k: int(v) if isinstance(v, Decimal) and v == v.to_integral_value() else v for k, v in item.items()}
    return (json.dumps(numbers) + "\n").encode()


tried = []


def breaks_off_once(item):
    tried.append(item)
    if len(tried) == 4:
        raise ConnectionError("the worker went away")
    return whole({**item, "text": item["text"] * 2000})


with mock_aws():
    boto3.client("s3").create_bucket(Bucket="corpus")
    table = boto3.resource("dynamodb").create_table(
        TableName="posts", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
    )
    for id in IDS:
        table.put_item(Item={"id": id, "text": f"post {id % 10}"})

    export("plain/")
    tell("as it is", "plain/")
    export("whole/", process_func=whole)
    tell("with a process_func", "whole/")

    pages = {"dynamodb_scan_kwargs": {"Limit": 1}, "process_func": breaks_off_once}
    for attempt in (1, 2):
        try:
            export("night/", **pages)
            result = "success"
        except ConnectionError as error:
            result = error
        count, written = lines("night/")
        print(f"try {attempt}: {result}; {count} objects, {len(written)} rows, {len(set(written))} of them different")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
as it is: {"id": 1.7654321098765432e+18, "text": "post 1"} to {"id": 7.0, "text": "post 7"}
as it is: 2 ids in 4 rows, 1 of them in the table
with a process_func: {"id": 1765432109876543211, "text": "post 1"} to {"id": 7, "text": "post 7"}
with a process_func: 4 ids in 4 rows, 4 of them in the table
try 1: the worker went away; 3 objects, 3 rows, 3 of them different
try 2: success; 7 objects, 7 rows, 4 of them different
EXPECTED
