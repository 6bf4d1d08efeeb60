# Two images: `api` serves and holds no torch, `worker` trains. Both run from the same source and the same versions.
#
#   docker build --target api .
#   docker build --target worker --build-arg TORCH_BUILD=cuda .

FROM node:24-bookworm-slim AS dashboard
WORKDIR /src/app/dashboard
COPY app/dashboard/package.json app/dashboard/package-lock.json app/dashboard/.npmrc ./
RUN npm ci
COPY app/dashboard ./
RUN npm run build

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    SONDAGE_DATA_DIR=/data
# The same number in both images: they share the volume at /data.
RUN useradd --uid 10001 --create-home sondage && install --directory --owner=sondage --group=sondage /data
WORKDIR /srv/sondage
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY sondage ./sondage

FROM base AS api
RUN pip install --constraint constraints.txt '.[app]'
COPY alembic.ini ./
COPY migrations ./migrations
COPY tools ./tools
COPY store ./store
COPY app ./app
COPY --from=dashboard /src/app/dashboard/dist ./app/dashboard/dist
USER sondage
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-m", "tools.healthy", "api"]
CMD ["python", "-m", "app", "serve"]

FROM base AS worker
# cpu: torch from its own index, without CUDA. cuda: the build that the package index has for Linux.
ARG TORCH_BUILD=cpu
RUN if [ "$TORCH_BUILD" = cpu ]; then \
      pip install --no-deps --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' constraints.txt)"; \
    fi \
    && pip install --constraint constraints.txt '.[worker]'
COPY alembic.ini ./
COPY migrations ./migrations
COPY tools ./tools
COPY store ./store
COPY worker ./worker
USER sondage
VOLUME /data
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD ["python", "-m", "tools.healthy", "worker"]
CMD ["python", "-m", "worker"]
