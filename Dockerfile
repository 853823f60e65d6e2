FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt \
 && useradd --system --uid 10001 --home-dir /app auren
COPY manage.py pyproject.toml ./
COPY auren auren
COPY biometrics biometrics
COPY resilience resilience
# Only the static files are made here; this key signs nothing.
RUN SECRET_KEY=for-collectstatic-only STATIC_ROOT=/app/staticfiles \
    python manage.py collectstatic --noinput --verbosity 0
USER auren
EXPOSE 8889
CMD ["sh", "-c", "exec uvicorn auren.asgi:application --http auren.protocol:CarefulProtocol --host 0.0.0.0 --port 8889 --workers ${WEB_PROCESSES:-2} --no-server-header --timeout-graceful-shutdown 15 --timeout-worker-healthcheck 60"]
