# The portal's image: built in two stages, run by nobody in particular.
# docker build -t flight-portal .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/portal
COPY requirements.lock ./
RUN python3 -m venv /opt/portal && /opt/portal/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY portal portal
COPY tasks tasks
COPY templates templates
COPY static static
COPY migrations migrations
RUN /opt/portal/bin/python -m compileall -q portal tasks migrations

FROM ${BASE} AS portal
RUN apt-get update && apt-get install -y --no-install-recommends \
    python3 ca-certificates libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 portal && useradd --uid 1000 --gid 1000 --home-dir /srv/portal --shell /usr/sbin/nologin portal
COPY --from=build /opt/portal /opt/portal
COPY --from=build /srv/portal /srv/portal
COPY deploy/portal /usr/local/bin/portal
WORKDIR /srv/portal
ENV PATH=/opt/portal/bin:/usr/local/bin:/usr/bin:/bin PYTHONPATH=/srv/portal PYTHONUNBUFFERED=1 PORTAL_ENV=production PORTAL_LOG_FORMAT=json
USER 1000:1000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/health/live', headers={'Host': 'localhost'}), timeout=4)"]
ENTRYPOINT ["portal"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--workers", "2"]
