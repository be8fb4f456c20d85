"""What Prometheus may know of a service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from unrain.serve.store import STATES, Job, Store

_METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._store = store
        self._requests = Counter(
            "unrain_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._ended = Counter("unrain_jobs_ended", "Jobs that ended.", ("kind", "state"), registry=self._registry)
        self._seconds = Histogram(
            "unrain_job_seconds", "Seconds of work on a job that was done.", ("kind",), buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._jobs = Gauge("unrain_jobs", "Jobs that are kept, by state.", ("state",), registry=self._registry)
        self._disk = Gauge("unrain_disk_bytes", "Bytes that jobs take on disk.", registry=self._registry)

    def answered(self, method: str, route: str, status: int) -> None:
        """A request was answered; `route` is the pattern, not the path."""
        # a client may invent methods, and each would be a counter of its own
        self._requests.labels(method if method in _METHODS else "other", route, status).inc()

    def ended(self, job: Job) -> None:
        """A job ended."""
        self._ended.labels(job.kind, job.state).inc()
        if job.state == "done" and job.ran:
            self._seconds.labels(job.kind).observe(job.ran["seconds"])

    def text(self, disk: int) -> bytes:
        """All of it, in Prometheus' text format."""
        for state in STATES:
            self._jobs.labels(state).set(self._store.count(state))
        self._disk.set(disk)
        return generate_latest(self._registry)
