# Both stages have Debian's own interpreter at the same path, so the virtual environment that the
# first makes works in the second, which has neither shell nor package manager.
ARG BUILD=debian:trixie-slim
ARG BASE=gcr.io/distroless/python3-debian13:nonroot

FROM ${BUILD} AS build

# What is installed here does not get into the image: the newest of a stable Debian is right.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils python3-venv \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 SOURCE_DATE_EPOCH=946684800
WORKDIR /src

# Wheels only: there is no compiler here either.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /tools \
    && /tools/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock \
    && /tools/bin/pip download --require-hashes --only-binary :all: -r requirements.lock -d /wheels

COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
COPY admin admin
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

# Debug symbols are half of all that is in the wheels.  The root is read-only, so what is compiled is
# compiled now, and no file is asked for its time.
RUN python3 -m venv --without-pip /opt/hotsplice \
    && /tools/bin/pip --python /opt/hotsplice/bin/python install --no-index --no-deps --no-compile /wheels/*.whl \
    && find /opt/hotsplice -name '*.so' -exec strip --strip-unneeded {} + \
    && find /opt/hotsplice -regex '.*\.\(c\|h\|pyi\|pyx\|pxd\)' -delete \
    && find /opt/hotsplice/bin -type f ! -name hotsplice -delete \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/hotsplice/lib \
    && mkdir /empty

FROM ${BASE}

# The base comes without compiled modules, and its root will be read-only: each start, and each
# command that is run beside, would compile the standard library again.
# hadolint ignore=DL3002
USER 0
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-x", "/(test|idlelib|pydoc_data|ensurepip|unittest)/", "/usr/lib/python3.13"]

COPY --from=build /opt/hotsplice /opt/hotsplice
COPY --from=build --chown=65532:65532 /empty /run/hotsplice
COPY --from=build --chown=65532:65532 /empty /var/lib/hotsplice

# Inside the container every command finds the process without a flag.
ENV PATH=/opt/hotsplice/bin:/usr/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    HOTSPLICE_ADMIN=unix:/run/hotsplice/admin.sock \
    HOTSPLICE_STATE_DIR=/var/lib/hotsplice/state

VOLUME ["/run/hotsplice", "/var/lib/hotsplice"]
# Listeners are the document's; 8080 is where its examples have one.
EXPOSE 8080 9902
WORKDIR /
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["hotsplice"]
CMD ["run"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hotsplice" \
      org.opencontainers.image.description="A sidecar that proxies HTTP and WebSocket and is reconfigured live by REST" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
