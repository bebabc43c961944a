# SPDX-License-Identifier: Apache-2.0
"""The API. Start: uvicorn main:app --port 8000

uvicorn believes an edge on the same machine by default (--proxy-headers): the scheme of request.url is the client's."""

import os

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

app = FastAPI(docs_url="/api/docs", openapi_url="/api/openapi.json")
release = os.environ.get("RELEASE", "1")
notes = []


class Note(BaseModel):
    text: str


@app.get("/api/health")
async def health():
    return {"status": "ok", "release": release}


@app.get("/api/notes")
async def list_notes():
    return {"release": release, "notes": notes}


@app.post("/api/notes", status_code=201)
async def add_note(note: Note):
    notes.append(note.text)
    return {"number": len(notes), "text": note.text}


@app.delete("/api/notes/{number}", status_code=204)
async def delete_note(number: int):
    if not 0 < number <= len(notes):
        raise HTTPException(404, "no such note")
    del notes[number - 1]


@app.get("/api/whoami")
async def whoami(request: Request):
    return {"client": request.headers["x-forwarded-for"], "scheme": request.url.scheme, "host": request.headers["host"]}
