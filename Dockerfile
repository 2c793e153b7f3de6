# Two stages: the first builds the wheel, the second holds what serves and nothing else.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/build.lock requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
# The read side is a package of its own beside src; the wheel holds both.
COPY projections projections
RUN python -m hatchling build -t wheel -d /dist

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 \
    LEDGER_DATABASE_URL=sqlite:////var/lib/ledger/ledger.db \
    LEDGER_DATA_DIR=/var/lib/ledger
COPY requirements/runtime.lock /tmp/runtime.lock
RUN pip install --no-cache-dir --require-hashes -r /tmp/runtime.lock \
    && rm /tmp/runtime.lock
COPY --from=build /dist /tmp/dist
RUN pip install --no-cache-dir --no-index --no-deps /tmp/dist/*.whl \
    && rm -r /tmp/dist \
    && useradd --system --home-dir /var/lib/ledger --create-home ledger
USER ledger
VOLUME /var/lib/ledger
EXPOSE 8000
CMD ["ledger", "serve", "--host", "0.0.0.0", "--port", "8000"]
