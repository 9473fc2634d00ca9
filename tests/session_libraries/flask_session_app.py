"""The tutorial's app with Flask-Session."""

import os
from datetime import timedelta

from flask import Flask, redirect, request, session
from flask_session import Session
from markupsafe import escape
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

app = Flask(__name__)
app.config.update(
    SESSION_TYPE="redis",
    SESSION_REDIS=Redis.from_url(
        os.environ["REDIS_URL"],
        socket_connect_timeout=1,
        socket_timeout=1,
        retry=Retry(NoBackoff(), 0),
    ),
    SESSION_COOKIE_SAMESITE="Lax",
    PERMANENT_SESSION_LIFETIME=timedelta(seconds=int(os.environ.get("TTL", "2"))),
)
Session(app)

FORM = '<form method="post"><input name="username"><button>Login</button></form>'
LOGOUT = '<form method="post" action="/logout"><button>Logout</button></form>'


@app.get("/")
def home():
    if "username" not in session:
        return "You are not logged in"
    session["visits"] += 1
    return f"<p>Logged in as {escape(session['username'])}<br>Visits: {session['visits']}</p>{LOGOUT}"


@app.get("/login")
def form():
    return FORM


@app.post("/login")
def login():
    app.session_interface.regenerate(session)
    session["username"] = request.form["username"]
    session["visits"] = 0
    return redirect("/", 303)


@app.post("/logout")
def logout():
    session.clear()
    return redirect("/", 303)


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
