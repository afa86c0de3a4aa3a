# sib in a container, for a CPU (the default) or a CUDA GPU:
#   docker build --tag sib .
#   docker build --tag sib:cuda --build-arg INDEX=https://download.pytorch.org/whl/cu126 .
#   docker run --rm --volume "$PWD:/work" sib train --data photos
#   docker run --rm --gpus all --shm-size 8g --volume "$PWD:/work" sib:cuda train --data photos
# This file has never been built: no container builder was at hand when it was written.
FROM python:3.12-slim

ARG INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --index-url "$INDEX" torch torchvision \
    && pip install --no-cache-dir ".[all,onnx]" \
    && rm -rf /src

RUN useradd --create-home sib
USER sib
WORKDIR /work
ENTRYPOINT ["sib"]
CMD ["--help"]
