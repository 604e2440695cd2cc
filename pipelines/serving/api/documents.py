"""What /openapi.json says of each route: bodies with examples, and the answers there are."""

from __future__ import annotations

from typing import Any

from pipelines.serving.contract import Look

_TEXT = {"type": "string"}
_WORDS = {"type": "string", "minLength": 1}
_LOOK = "|".join(Look)
_LOOKS = {
    "type": "string",
    "pattern": f"^({_LOOK})(,({_LOOK}))*$",
    "description": f"comma-separated, all by default: {', '.join(Look)}",
    "example": "visual,text",
}
_FACTS = {
    "id": {"type": "string", "maxLength": 200, "pattern": "^[ -~]*$", "description": "as you name it; printable"},
    "title": _TEXT,
    "description": _TEXT,
    "uploader_id": _TEXT,
    "looks": _LOOKS,
}
_HOOK = {
    "webhook": {"type": "string", "format": "uri", "description": "told the verdict; needs webhook_secret"},
    "webhook_secret": {"type": "string", "description": "whsec_ and 24 to 64 bytes in base64"},
}
_BOTH = {"dependentRequired": {"webhook": ["webhook_secret"], "webhook_secret": ["webhook"]}}
_FILE = {"type": "string", "format": "binary"}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "type"],
            "properties": {"code": _TEXT, "message": _TEXT, "type": _TEXT},
        }
    },
}
_MEANINGS = {
    400: "the request is not as it has to be",
    401: "no key, or not a known one",
    403: "not allowed",
    404: "there is none",
    405: "another method",
    408: "the body came too slowly",
    413: "too large",
    415: "no media that can be looked at",
    422: "nothing of it could be looked at",
    429: "too many requests; see Retry-After",
    503: "no room now; see Retry-After",
    504: "not ready before the deadline",
    507: "no room on the disk",
}


def _document(summary: str, good: int, codes: tuple[int, ...], body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The arguments of a route."""
    wrong = {code: {"description": _MEANINGS[code], "content": _json(_ERROR)} for code in codes}
    answer = {good: {"description": "as asked", "content": _json({"type": "object"})}}
    extra = {"requestBody": {"required": True, "content": body}} if body else {}
    return {"summary": summary, "status_code": good, "responses": {**answer, **wrong}, "openapi_extra": extra}


def _json(schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    return {"application/json": {"schema": schema, **({"example": example} if example is not None else {})}}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    kept = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **kept}


_USUAL = (400, 401, 403, 408, 413, 415, 422, 429, 503, 504)
_ENCODED = {
    "type": "string",
    "minLength": 1,
    "pattern": "^(data:[a-z/+.-]*;base64,)?([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "description": "base64, or a data: URI of it",
}
_URI = {"type": "string", "format": "uri", "minLength": 1, "description": "on a place that the service may fetch from"}
_PART = {
    "anyOf": [
        _object({"type": {"const": "text"}, "text": _TEXT}, ("type", "text")),
        _object({"type": {"const": "image_url"}, "image_url": _object({"url": _URI}, ("url",))}, ("type", "image_url")),
    ]
}
_INPUT = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 64},
        {"type": "array", "items": _PART, "minItems": 1, "maxItems": 8},
    ],
    "description": "a text; texts, each with a result; or parts, which have one result together",
}


CHECK = _document(
    "Check one image, audio clip, text or short video, and answer with a verdict",
    200,
    _USUAL,
    {
        **_json(
            {
                "oneOf": [
                    _object({**_FACTS, "text": _WORDS}, ("text",)),
                    *(
                        _object({**_FACTS, "text": _TEXT, name: _ENCODED}, (name,))
                        for name in ("image", "audio", "video")
                    ),
                    _object({**_FACTS, "text": _TEXT, "uri": _URI}, ("uri",)),
                ]
            },
            {"id": "comment-7", "text": "add me on WeChat, guaranteed profit", "looks": "text"},
        ),
        "multipart/form-data": {
            "schema": _object({"file": _FILE, **_FACTS}, ("file",)),
            "example": {"file": "(bytes)", "id": "upload-9", "title": "my cat", "looks": "visual,text"},
        },
    },
)
MODERATIONS = _document(
    "OpenAI's moderation endpoint: text and images",
    200,
    _USUAL,
    _json(
        {"type": "object", "required": ["input"], "properties": {"input": _INPUT, "model": _TEXT}},
        {"input": [{"type": "text", "text": "add me on WeChat, guaranteed profit"}]},
    ),
)
VIDEOS = _document(
    "Take a video on, to be checked later",
    202,
    (*_USUAL, 404, 507),
    {
        "multipart/form-data": {
            "schema": {**_object({"file": _FILE, **_FACTS, **_HOOK}, ("file",)), **_BOTH},
            "example": {"file": "(bytes)", "id": "upload-9", "title": "my cat"},
        },
        **_json(
            {
                "oneOf": [
                    {**_object({**_FACTS, **_HOOK, name: kind}, (name,)), **_BOTH}
                    for name, kind in (("uri", _URI), ("video", _ENCODED))
                ]
            },
            {
                "id": "upload-9",
                "uri": "https://media.example/9.mp4",
                "webhook": "https://you.example/hook",
                "webhook_secret": "whsec_ZXhhbXBsZWV4YW1wbGVleGFtcGxlIQ==",
            },
        ),
    },
)
VIDEO = _document("How far a video is, and its verdict", 200, (401, 403, 404, 429))
VIDEO["openapi_extra"] = {
    "parameters": [{"name": "video_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}]
}
MODELS = _document("Which models and versions answer", 200, (401, 403, 429, 503))
PLAIN = _document("For machines that watch", 200, (401, 403, 429))
READY = _document("Whether it answers", 200, (503,))


def secured(document: dict[str, Any]) -> dict[str, Any]:
    """Name both ways to give a key; a service without keys asks for none."""
    bearer = {"type": "http", "scheme": "bearer", "description": "a token of `nightjar keys create`"}
    header = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    document.setdefault("components", {})["securitySchemes"] = {"bearer": bearer, "header": header}
    document["security"] = [{"bearer": []}, {"header": []}]
    return document
