# The agents of `ci_trigger.py agents --compose`, and their packages. No secret is in it: they come as variables.
FROM python:3.12.8-slim-bookworm

# hadolint ignore=DL3008  the versions of Debian's packages are those of the release, with its security updates
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home agent \
    && install --directory --owner agent --mode 0700 /var/lib/clearml-ci

WORKDIR /opt/clearml-ci
COPY requirements.txt requirements-agents.txt ./
RUN pip install --no-cache-dir --requirement requirements-agents.txt
COPY ci_trigger.py ./
COPY clearml_ci ./clearml_ci

USER agent
ENTRYPOINT ["python", "/opt/clearml-ci/ci_trigger.py"]
CMD ["agents", "--folder", "/var/lib/clearml-ci"]
