# Two images from one base: Airflow with this package and its DAGs, and the sandbox.
FROM apache/airflow:3.3.2-python3.11 AS airflow

# Airflow is named again so that nothing changes its version (https://airflow.apache.org/docs/docker-stack/build.html).
# boto3 stays as it is in the image, where aiobotocore pins it.
COPY --chown=airflow:root requirements.txt docker/constraints.txt /tmp/requirements/
RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" \
        --requirement /tmp/requirements/requirements.txt cohere fastavro --constraint /tmp/requirements/constraints.txt \
    && pip check

# A new volume takes over the owner of the folder it is mounted on.
RUN mkdir -p /opt/airflow/data /opt/airflow/login && chmod 750 /opt/airflow/login

COPY --chown=airflow:root docker/init.sh /opt/airflow/init.sh
COPY --chown=airflow:root plugins /opt/airflow/plugins
COPY --chown=airflow:root dags /opt/airflow/dags


FROM airflow AS sandbox

RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" wordllama python-multipart fastavro flask flask-cors "moto[s3]" \
        --constraint /tmp/requirements/constraints.txt

USER root
RUN install --directory --owner=airflow --group=root --mode=770 /var/lib/sandbox
USER airflow

WORKDIR /opt/sandbox
COPY --chown=airflow:root sandbox sandbox
# Airflow's own entrypoint would wait for a database.
ENTRYPOINT ["/usr/bin/dumb-init", "--"]
CMD ["python", "-m", "sandbox", "--host", "0.0.0.0", "--port", "8000", "--data", "/var/lib/sandbox"]
