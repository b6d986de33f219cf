#!/usr/bin/env bash
# to_datetime and from_datetime of Airflow's S3DeleteObjectsOperator may be texts, as templates make them; the offset in
# the text is thrown away. "2026-11-29T02:00:00+02:00" (midnight UTC) erases what was written until 02:00 UTC. A
# datetime of the same moment erases until midnight.
# Hurts: who keeps a window by local time, as "{{ data_interval_start.in_timezone('Europe/Helsinki') }}" or a text in a
# run's conf gives it: east of Greenwich the objects of some hours after it are erased, so a night's fresh vectors with
# the old ones; west of it old ones stay. Whoever tries it in UTC sees nothing.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-amazon 9.39.0, Python 3.11. Seen on 2026-11-29.
# Guess: the same objects for the same moment, or an error for an offset that is not taken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export NO_PROXY=127.0.0.1 AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake AWS_DEFAULT_REGION=us-east-1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import os
import re
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OBJECTS = {"22h": "2026-11-28T22:00:00.000Z", "01h": "2026-11-29T01:00:00.000Z", "03h": "2026-11-29T03:00:00.000Z"}


class S3(BaseHTTPRequestHandler):
    """A bucket with three objects: ListObjectsV2 and DeleteObjects."""

    erased = []

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        if self.command == "POST":
            S3.erased = re.findall(r"<Key>(.*?)</Key>", body)
            content = "<DeleteResult>" + "".join(f"<Deleted><Key>{k}</Key></Deleted>" for k in S3.erased)
            content += "</DeleteResult>"
        else:
            content = "<ListBucketResult><IsTruncated>false</IsTruncated>" + "".join(
                f"<Contents><Key>v/{name}</Key><LastModified>{written}</LastModified><Size>1</Size></Contents>"
                for name, written in OBJECTS.items()
            ) + "</ListBucketResult>"
        self.send_response(200)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    do_GET = do_POST = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), S3)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_address[1]}"

from airflow.providers.amazon.aws.operators.s3 import S3DeleteObjectsOperator  # noqa: E402

moment = datetime(2026, 11, 29, tzinfo=timezone.utc)
for hours in (0, 2, -5):
    local = moment.astimezone(timezone(timedelta(hours=hours)))
    for given in (local, local.isoformat()):
        S3.erased = []
        S3DeleteObjectsOperator(
            task_id="erase", bucket="corpus", prefix="v/", to_datetime=given, aws_conn_id=None
        ).execute({})
        print(f"seen: until {type(given).__name__} {given}: erased {S3.erased}")
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^seen: //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
until datetime 2026-11-29 00:00:00+00:00: erased ['v/22h']
until str 2026-11-29T00:00:00+00:00: erased ['v/22h']
until datetime 2026-11-29 02:00:00+02:00: erased ['v/22h']
until str 2026-11-29T02:00:00+02:00: erased ['v/22h', 'v/01h']
until datetime 2026-11-28 19:00:00-05:00: erased ['v/22h']
until str 2026-11-28T19:00:00-05:00: erased []
EXPECTED
