# Three images: `base` for the API and every role but one; for the role that loads a model `inference`, with
# torch and CUDA, or `inference-slim`, which runs what was exported before, on a processor: 6 GB less.
# All run as a user without rights, and may write to /data and /tmp only.

FROM python:3.12-slim AS python
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/data \
    DATA_DIR=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/kadr
# A new volume takes over the owner of the folder that it is mounted on, so each such folder is made here.
RUN useradd --no-create-home --home-dir /data --shell /usr/sbin/nologin --uid 10001 kadr \
    && install --directory --owner=kadr --group=kadr --mode=0750 /data /data/models /data/work

FROM python AS base-packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY deploy/requirements-base.lock deploy/requirements-build.lock deploy/
# The lock is complete, so pip looks for nothing that is not in it (`--no-deps`).
RUN python -m venv /opt/venv \
    && pip install --no-deps --require-hashes --only-binary :all: -r deploy/requirements-base.lock \
    && pip install --no-deps --require-hashes --only-binary :all: --target /opt/build -r deploy/requirements-build.lock
# Only where the code will lie, its version and the command `kadr`; an empty package is enough for that.
COPY pyproject.toml README.md LICENSE ./
RUN for package in agents api app tables; do install -D /dev/null $package/__init__.py; done \
    && PYTHONPATH=/opt/build pip install --no-deps --no-build-isolation --editable .

FROM python AS base
COPY --from=base-packages /opt/venv /opt/venv
COPY pyproject.toml LICENSE ./
COPY tables tables
COPY api api
COPY agents agents
COPY app app
RUN python -m compileall -q agents api app tables
USER kadr

FROM base-packages AS inference-packages
COPY deploy/requirements-inference.lock deploy/
RUN pip install --no-deps --require-hashes --only-binary :all: -r deploy/requirements-inference.lock

FROM python AS inference
COPY --from=inference-packages /opt/venv /opt/venv
COPY models models
COPY --from=base /srv/kadr /srv/kadr
USER kadr

FROM base-packages AS inference-slim-packages
COPY deploy/requirements-inference-slim.lock deploy/
RUN pip install --no-deps --require-hashes --only-binary :all: -r deploy/requirements-inference-slim.lock

FROM python AS inference-slim
COPY --from=inference-slim-packages /opt/venv /opt/venv
COPY models models
COPY --from=base /srv/kadr /srv/kadr
USER kadr
