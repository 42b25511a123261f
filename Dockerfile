# Three images; docker-compose.yml says which process a container of each runs.
#   edge-gateway   edge, gateway, the secrets' provision; no database, no web server
#   simulators     the simulated factory
#   cloud          API, console, command line with backup and restore; the store's set-up
# Only what every builder knows is used here (no BuildKit syntax), so that Compose 1.29 builds it, too. Such a builder
# builds all that stands above its target: the smaller ones come first.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:20-slim

FROM ${PYTHON_IMAGE} AS run
RUN groupadd --gid 10001 shopfloor && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data shopfloor \
 # a volume takes the owner of the folder that it is mounted over first
 && for name in ca broker uns gateway edge-machining edge-assembly cloud simulators machine postgres influxdb grafana; do \
      install -d -o shopfloor -g shopfloor -m 700 "/secrets/$name"; done \
 && install -d -o shopfloor -g shopfloor -m 755 /data /plant /backup /volumes/broker /volumes/uns /volumes/influxdb \
    /volumes/grafana
# a safe path: state folders of the names of packages (/data/cloud) are no place to import from
ENV PATH=/venv/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SHOPFLOOR_HOME=/data
WORKDIR /data
USER shopfloor

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /venv
WORKDIR /app

FROM build AS build-edge-gateway
COPY requirements-edge-gateway.lock /
RUN /venv/bin/pip install --no-input --require-hashes -r /requirements-edge-gateway.lock
COPY pyproject.toml LICENSE README.md ./
COPY contract contract
COPY spool spool
COPY vibration vibration
COPY edge edge
COPY gateway gateway
COPY shopfloor shopfloor
RUN /venv/bin/pip install --no-input --no-deps --no-build-isolation --editable . \
 && /venv/bin/pip uninstall --yes setuptools pip && python3 -m compileall -q /app \
 && /venv/bin/python -c 'import edge.__main__, gateway.__main__, edge.drivers as d; [d.load(name) for name in d.driver_names()]' \
 && /venv/bin/python -c 'import edge.detectors as d; [d.load(name) for name in d.detector_names()]' \
 && /venv/bin/python -c 'import shopfloor.compose.provision; from shopfloor.commands import command_names, load; [*map(load, command_names())]'

FROM run AS edge-gateway
COPY --from=build-edge-gateway /venv /venv
COPY --from=build-edge-gateway /app /app

FROM build AS build-simulators
COPY requirements-simulators.lock /
RUN /venv/bin/pip install --no-input --require-hashes -r /requirements-simulators.lock \
 && rm -rf /venv/lib/python3.*/site-packages/numpy/*/tests
COPY simulators simulators
COPY contract/__init__.py contract/log.py contract/private.py contract/
RUN /venv/bin/pip uninstall --yes setuptools pip && python3 -m compileall -q /app \
 && PYTHONPATH=/app /venv/bin/python -c 'import simulators.__main__'

FROM run AS simulators
ENV PYTHONPATH=/app
COPY --from=build-simulators /venv /venv
COPY --from=build-simulators /app /app

FROM ${NODE_IMAGE} AS console
WORKDIR /console
COPY cloud/console/package.json cloud/console/package-lock.json cloud/console/.npmrc ./
RUN npm ci
COPY cloud/console ./
RUN npm run build

FROM build AS build-cloud
COPY requirements-cloud.lock /
# of pyarrow: its headers, its RPC, its ways to stores on the Internet and libraries that stand there three times, as a
# wheel has no links; the imports below prove that nothing of it is needed
RUN /venv/bin/pip install --no-input --require-hashes -r /requirements-cloud.lock \
 && cd /venv/lib/python3.*/site-packages/pyarrow \
 && rm -rf include src tests *_flight* *libarrow_s3* *_s3fs* *_gcsfs* *_azurefs* *.pxd *.pxi *.pyx \
 && for each in libarrow_python*.so; do rm -f "$each" "$each".*.*; done
COPY pyproject.toml LICENSE README.md ./
COPY contract contract
COPY edge edge
COPY cloud cloud
COPY shopfloor shopfloor
COPY spool spool
COPY vibration vibration
COPY --from=console /console/dist cloud/console/dist
RUN /venv/bin/pip install --no-input --no-deps --no-build-isolation --editable . \
 && /venv/bin/pip uninstall --yes setuptools pip && python3 -m compileall -q /app \
 && /venv/bin/python -c 'import cloud.__main__, psycopg, shopfloor.compose.after, shopfloor.compose.influx' \
 && /venv/bin/python -c 'from shopfloor.commands import command_names, load; [*map(load, command_names())]' \
 && /venv/bin/python -c 'import pyarrow.acero, pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.parquet, shopfloor.backup.restore, shopfloor.backup.write'

FROM run AS cloud
COPY --from=build-cloud /venv /venv
COPY --from=build-cloud /app /app
CMD ["shopfloor", "--help"]
