# The HTTP server with the embedded engine; docs/install.md has the commands.
FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
# The lock has developers' packages too, so it is not installed, but the versions of what is installed.
RUN sed -n 's/^\([A-Za-z0-9._-]*\)\(\[[^]]*\]\)\{0,1\}\(==.*\) \\$/\1\3/p' requirements.lock > constraints.txt \
 && python -m venv /opt/local-llm-agent \
 && /opt/local-llm-agent/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.13-slim
# llama.cpp computes with OpenMP, which the slim image lacks. Not pinned, for Debian's security updates.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home agent \
 && install --directory --owner=agent --group=agent --mode=700 /data /run/local-llm-agent
COPY --from=build /opt/local-llm-agent /opt/local-llm-agent
# /data holds models, ledger and settings. The runtime folder belongs to one container: it holds addresses.
ENV PATH=/opt/local-llm-agent/bin:$PATH \
    XDG_CACHE_HOME=/data/cache \
    XDG_CONFIG_HOME=/data/config \
    XDG_DATA_HOME=/data/share \
    XDG_RUNTIME_DIR=/run/local-llm-agent
USER 10001
WORKDIR /home/agent
VOLUME /data
EXPOSE 3160
# Whether the server answers; /ready needs the token and says whether a model would.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3160/health', timeout=4)"]
ENTRYPOINT ["local-llm-agent"]
# It does not start without LOCAL_LLM_HTTP__TOKEN, because it listens on more than loopback.
CMD ["serve", "--host", "0.0.0.0"]
