# What deploy/grafana.yml expects of Grafana, where the public image cannot be had: it reads its data source's token when
# it starts, asks the store with it, and its health is on port 3000.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends wget >/dev/null && rm -rf /var/lib/apt/lists/*
COPY grafana/serve.py /serve.py
CMD ["python3", "/serve.py"]
