# One image for every process of the platform; docker-compose.yml says which one a container runs.
# Only what every builder knows is used here (no BuildKit syntax), so that Compose 1.29 builds it, too.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:20-slim

FROM ${NODE_IMAGE} AS console
WORKDIR /console
COPY cloud/console/package.json cloud/console/package-lock.json cloud/console/.npmrc ./
RUN npm ci
COPY cloud/console ./
RUN npm run build

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /venv
COPY requirements-image.lock /
# pyarrow's headers and its RPC are never needed here; the import proves it
RUN /venv/bin/pip install --no-input --require-hashes -r requirements-image.lock \
 && cd /venv/lib/python3.*/site-packages \
 && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*_flight* numpy/*/tests \
 && /venv/bin/python -c 'import pyarrow.parquet'
WORKDIR /app
COPY . .
RUN /venv/bin/pip install --no-input --no-deps --no-build-isolation --editable . \
 && /venv/bin/pip uninstall --yes setuptools pip \
 && python3 -m compileall -q /app
COPY --from=console /console/dist cloud/console/dist

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 shopfloor && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data shopfloor \
 # a volume takes the owner of the folder that it is mounted over first
 && for name in ca broker uns gateway edge-machining edge-assembly cloud simulators machine postgres influxdb grafana; do \
      install -d -o shopfloor -g shopfloor -m 700 "/secrets/$name"; done \
 && install -d -o shopfloor -g shopfloor -m 755 /data /plant /backup /volumes/broker /volumes/uns /volumes/influxdb \
    /volumes/grafana
COPY --from=build /venv /venv
COPY --from=build /app /app
# a safe path: state folders of the names of packages (/data/cloud) are no place to import from
ENV PATH=/venv/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SHOPFLOOR_HOME=/data
WORKDIR /data
USER shopfloor
CMD ["shopfloor", "--help"]
