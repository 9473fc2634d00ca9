"""Stage 4: the cookie contains a random token; a session store keeps everything else."""

import hashlib
import secrets
import time

from flask import redirect, request
from markupsafe import escape

from common import FORM, connect, new_app, page, posted_name, serve

# region limits
IDLE_SECONDS = 10
MAX_AGE_SECONDS = 8 * 60 * 60
# endregion limits


class SessionStore:
    """Sessions in Redis. Every visit refreshes the TTL."""

    def __init__(self, redis):
        self.redis = redis

    # region create
    def create(self, username):
        token = secrets.token_urlsafe(32)
        key = self.key(token)
        session = {"username": username, "created": int(time.time())}
        with self.redis.pipeline() as pipe:  # MULTI … EXEC
            pipe.hset(key, mapping=session)
            pipe.expire(key, IDLE_SECONDS)
            pipe.execute()
        return token

    def key(self, token):
        return "sessiontut:session:" + hashlib.sha256(token.encode()).hexdigest()
    # endregion create

    # region visit
    def visit(self, token):
        key = self.key(token)
        with self.redis.pipeline() as pipe:
            pipe.hincrby(key, "visits", 1)
            pipe.expire(key, IDLE_SECONDS)
            pipe.hgetall(key)
            session = pipe.execute()[-1]
        if "username" not in session or self.is_too_old(session):
            # No valid session: delete the key. HINCRBY may have created it.
            self.redis.delete(key)
            return None
        return session

    def is_too_old(self, session):
        return time.time() - int(session["created"]) > MAX_AGE_SECONDS
    # endregion visit

    # region end
    def end(self, token):
        self.redis.delete(self.key(token))
    # endregion end


# region index
app = new_app(__name__)
store = SessionStore(connect())


@app.get("/")
def index():
    token = request.cookies.get("session")
    session = store.visit(token) if token else None
    if session is None:
        return page("You are not logged in")
    name, visits = escape(session["username"]), session["visits"]
    return page(f"Logged in as {name}<br>Visits: {visits}")
# endregion index


@app.get("/login")
def login_form():
    return FORM


# region login
@app.post("/login")
def login():
    name = posted_name()
    if old := request.cookies.get("session"):
        store.end(old)
    token = store.create(name)
    response = redirect("/", 303)
    response.set_cookie("session", token, httponly=True, samesite="Lax")
    return response


@app.get("/logout")
def logout():
    if token := request.cookies.get("session"):
        store.end(token)
    response = redirect("/", 303)
    response.delete_cookie("session", httponly=True, samesite="Lax")
    return response
# endregion login


if __name__ == "__main__":
    serve(app)
