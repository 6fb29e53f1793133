# The worker as an image: `docker build -t enrolment-worker .`
# Both stages have the same base, so that the environment made in the one runs in the other.
ARG BASE=docker.io/library/python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 UV_PROJECT_ENVIRONMENT=/opt/enrolment-worker
# uv itself, by the hash in the lock file.
COPY .ci/bootstrap.py .ci/bootstrap.py
COPY pyproject.toml uv.lock ./
RUN ["python3", ".ci/bootstrap.py"]
# Dependencies before the code: they change less often.
RUN --mount=type=cache,target=/root/.cache/uv \
    .venv/bin/python -m uv sync --quiet --locked --no-dev --no-editable --no-install-project
COPY README.md ./
COPY topics topics
COPY worker worker
RUN --mount=type=cache,target=/root/.cache/uv \
    .venv/bin/python -m uv sync --quiet --locked --no-dev --no-editable \
    # Anybody may write to it.
    && rm /opt/enrolment-worker/.lock

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="enrolment-worker" \
      org.opencontainers.image.description="Enrols loyalty customers into Capillary promotions the moment they do something." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/enrolment-worker /opt/enrolment-worker
# The one place that it writes to; with a read-only root file system, a volume.
RUN ["install", "--directory", "--owner=65532", "--group=65532", "/var/lib/enrolment-worker"]
ENV PATH=/opt/enrolment-worker/bin:$PATH PYTHONUNBUFFERED=1 ENROLMENT_STATE_DIR=/var/lib/enrolment-worker
WORKDIR /var/lib/enrolment-worker
USER 65532:65532
EXPOSE 6066
ENTRYPOINT ["enrolment-worker"]
CMD ["run"]
