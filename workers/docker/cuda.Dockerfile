# evornn for machines with NVIDIA GPUs: Ray workers for runs that need `gpus`.
#
#   docker build -f workers/docker/cuda.Dockerfile -t evornn:cuda .
#
# torch's default package for Linux includes the CUDA libraries, so the base needs none: the machine's NVIDIA driver and the
# NVIDIA container toolkit are enough. If the driver is too old, `--build-arg TORCH_INDEX=ADDRESS` installs torch for
# another release of CUDA (pytorch.org, "Start Locally").
#
# The base is pinned by tag. For reproducible builds, append the digest that `docker images --digests` shows.
# Ray needs the same Python (3.11) and the same Ray on all machines: build both images from one checkout.

FROM python:3.11.11-slim-bookworm AS libraries
ARG TORCH_INDEX=""
WORKDIR /source
RUN python -m venv /opt/evornn
COPY constraints.txt ./
# torch first, in its own layer: it is large and rarely changes.
RUN /opt/evornn/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt \
    ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml workers/docker/requirements.py ./
RUN python requirements.py server tune < pyproject.toml > requirements.txt \
    && /opt/evornn/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt \
    --requirement requirements.txt

FROM libraries AS evornn
COPY README.md LICENSE ./
COPY workers workers
COPY dashboards dashboards
COPY evornn evornn
RUN /opt/evornn/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt \
    --no-deps --prefix /opt/new .

FROM libraries AS slim
COPY workers/docker/slim.sh ./
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && sh slim.sh /opt/evornn

FROM python:3.11.11-slim-bookworm
# An unprivileged user. Its uid is that of the first user on most machines, so that secrets can be readable by it alone.
# Any other uid will do (EVORNN_UID in docker-compose.yml): new volumes get the mode of these folders.
RUN useradd --uid 1000 --create-home evornn && install --directory --mode 1777 /var/cache/evornn /data
COPY --from=slim /opt/evornn /opt/evornn
# Last, so that another version of evornn is another small layer.
COPY --from=evornn /opt/new /opt/evornn
ENV PATH=/opt/evornn/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    EVORNN_CACHE=/var/cache/evornn \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_AUTH_MODE=token \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER evornn
WORKDIR /data
# Whether this node can reach the cluster's head.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["ray", "health-check"]
CMD ["evornn", "--help"]
