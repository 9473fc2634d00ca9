"""The peer that uses Flask with a hand-written session store on redis-py, with one pipeline per page view."""

import os
import secrets

import redis
from flask import Flask, redirect, request

PAGE_BYTES = int(os.environ["PAGE_BYTES"])
FILLING = ("<p>The quick brown fox jumps over the lazy dog.</p>\n" * (PAGE_BYTES // 50 + 1))[:PAGE_BYTES]
TTL = 600

app = Flask(__name__)
store = redis.Redis.from_url(os.environ["REDIS_URL"])


def page(text):
    return text + FILLING[len(text):]


@app.post("/login")
def login():
    token = secrets.token_urlsafe()
    with store.pipeline() as pipe:
        pipe.hset(f"peer:{token}", mapping={"username": request.form["username"], "visits": 0})
        pipe.expire(f"peer:{token}", TTL)
        pipe.execute()
    response = redirect("/", 303)
    response.set_cookie("session", token, httponly=True, samesite="Lax")
    return response


@app.get("/")
def home():
    token = request.cookies.get("session")
    if not token:
        return page("<h1>You are not logged in</h1>")
    with store.pipeline() as pipe:
        pipe.hincrby(f"peer:{token}", "visits", 1)
        pipe.expire(f"peer:{token}", TTL)
        pipe.hget(f"peer:{token}", "username")
        visits, _, name = pipe.execute()
    return page(f"<h1>Logged in as {name.decode()}</h1><p>Visits: {visits}</p>")


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
