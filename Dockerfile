# The page, as one image: docker build --tag arrag-loupe . (docs/running.md says how it is run)
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /srv/arrag

# torch from PyTorch's own index, whose builds come without CUDA
COPY requirements.txt ./
RUN pip install --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch' requirements.txt)"
RUN pip install --requirement requirements.txt

COPY app.py LICENSE ./
COPY core core
COPY app app
COPY assets assets
# nothing can be compiled when it runs: the image is read-only then
RUN python -m compileall -q core app app.py

# a user without a name and a home, and one place that can be written: /tmp
USER 10001:10001
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_TEMP_DIR=/tmp/gradio MPLCONFIGDIR=/tmp/matplotlib
EXPOSE 7860
HEALTHCHECK --start-period=60s --interval=30s --timeout=5s CMD ["python", "-m", "app.health"]
# no shell before it, so that SIGTERM reaches it
ENTRYPOINT ["python", "app.py"]
