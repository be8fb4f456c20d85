# The page and the HTTP API in a container: docker compose up, or see docs/serve.md.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY samples samples
COPY src src
RUN python -m venv /opt/unrain \
    && /opt/unrain/bin/pip install --no-cache-dir --no-compile --constraint constraints.txt '.[web]' \
    && /opt/unrain/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim-bookworm
COPY --from=build /opt/unrain /opt/unrain
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin unrain \
    && install --directory --owner=unrain --mode=700 /data
ENV PATH=/opt/unrain/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    XDG_CACHE_HOME=/data/cache \
    UNRAIN_DATA=/data
USER 10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
ENTRYPOINT ["unrain", "serve", "--host", "0.0.0.0", "--port", "8000"]
