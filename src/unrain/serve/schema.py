"""What goes over the wire, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from unrain import weights
from unrain.serve.formats import MEDIA_TYPES

Quality = Literal["fast", "balanced", "best"]
BALANCED: Quality = "balanced"
_QUALITY_HELP = (
    "`fast`: one small network. `balanced`: the fastest that loses nothing one sees. "
    "`best`: the same in float32, photos also mirrored."
)


class ImageOptions(BaseModel):
    """How a photo is cleaned."""

    model_config = ConfigDict(extra="forbid")

    quality: Quality = Field(BALANCED, description=_QUALITY_HELP)
    stages: int | None = Field(None, ge=1, le=12, description="Fewer are faster; the model's own number if left out.")
    strength: float = Field(1.0, ge=0, le=1, description="1 takes out all rain that was found, 0 none.")
    layers: bool = Field(False, description="Also keep the streaks that were taken out.")


class VideoOptions(BaseModel):
    """How a video is cleaned."""

    model_config = ConfigDict(extra="forbid")

    quality: Quality = Field(BALANCED, description=_QUALITY_HELP)
    strength: float = Field(1.0, ge=0, le=1, description="1 takes out all rain that was found, 0 none.")
    layers: bool = Field(False, description="Also keep streaks and degradation map.")


class NewVideoOptions(VideoOptions):
    """How a new video is cleaned."""

    preview: bool = Field(False, description="First clean one second, and wait for `POST /v1/jobs/{id}/start`.")


class StartOptions(BaseModel):
    """How a job is cleaned this time; what is left out stays as it was."""

    model_config = ConfigDict(extra="forbid")

    quality: Quality | None = Field(None, description=_QUALITY_HELP)
    stages: int | None = Field(None, ge=1, le=12, description="Of photos only.")
    strength: float | None = Field(None, ge=0, le=1)
    layers: bool | None = None


JobId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{22}$", description="A job's id.")]
FileName = Literal[
    "source", "clean", "streaks", "degradation",
    "preview-rainy", "preview-clean", "preview-streaks", "preview-degradation",
]  # fmt: skip


class FileView(BaseModel):
    """One file of a job."""

    url: str
    type: str
    bytes: int


class Ran(BaseModel):
    """What cleaned a file."""

    model: str
    engine: str
    device: str
    precision: str
    seconds: float
    frames: int


class JobView(BaseModel):
    """A job, as far as it has come."""

    id: str
    kind: Literal["image", "video"]
    state: Literal["queued", "running", "waiting", "done", "failed", "cancelled"] = Field(
        description="`waiting`: the preview is there, and the rest waits for `POST /v1/jobs/{id}/start`."
    )
    phase: Literal["preview", "clean"]
    ahead: int = Field(description="Jobs that are queued before this one.")
    done: int = Field(description="Frames that are done.")
    total: int | None = Field(description="Frames that there probably are.")
    seconds_left: float | None = Field(description="Estimated; null while nothing is known.")
    width: int
    height: int
    options: dict[str, Any]
    ran: Ran | None
    error: str | None
    expires: float | None = Field(description="When the job is removed, in seconds since 1970.")
    files: dict[str, FileView]


class ModelView(BaseModel):
    """A model of the catalog."""

    name: str
    stages: int
    summary: str


class QualityView(BaseModel):
    """What a quality stands for."""

    name: Quality
    default: bool
    image: ModelView
    video: ModelView


class Info(BaseModel):
    """What this service is and takes."""

    version: str
    local: bool = Field(description="Whether it listens to this machine only.")
    qualities: list[QualityView]
    limits: dict[str, float]


class Status(BaseModel):
    """How the service is."""

    status: str


class Problem(BaseModel):
    """Why a request was turned down, in one line."""

    detail: str


def qualities() -> list[QualityView]:
    """What one can choose from."""
    return [
        QualityView(
            name=cast(Quality, name),
            default=name == BALANCED,
            image=_model(weights.find(image)),
            video=_model(weights.find(video)),
        )
        for name, (image, video) in weights.QUALITIES.items()
    ]


def _model(entry: weights.Entry) -> ModelView:
    return ModelView(name=entry.name, stages=entry.stages, summary=entry.summary)


def body(kind: str) -> dict[str, Any]:
    """A request body of bytes, for the OpenAPI document."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    types = (*MEDIA_TYPES[kind].values(), "application/octet-stream")
    return {"requestBody": {"required": True, "content": {name: schema for name in types}}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses that turn a request down, for the OpenAPI document."""
    told = {
        400: "The request is malformed, or its body is empty.",
        401: "A valid token is needed.",
        403: "A page of another site asked.",
        404: "There is no such job or file.",
        406: "No accepted type can be written.",
        408: "The body came too slowly.",
        409: "The job is not in a state for this.",
        413: "Too many bytes, pixels or seconds.",
        415: "No picture or video that can be read.",
        416: "The range lies outside of the file.",
        421: "The Host header names another host.",
        422: "The options are wrong, or the file cannot be cleaned.",
        429: "The queue is full; Retry-After says when to come again.",
        503: "The service is not ready.",
        507: "The disk space is used up.",
    }
    return {status: {"model": Problem, "description": told[status]} for status in (400, 401, 403, 421, *statuses)}
