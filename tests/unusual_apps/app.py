"""The tutorial's app (stage 4), correct but unusual, with a switch for each peculiarity: python app.py [PECULIARITY].

tests/check_verdicts.rs lists the peculiarities with the options that `sessiontut check` needs for them.
"""

import gzip
import hashlib
import hmac
import json
import os
import secrets
import sys
import threading
import time

from flask import Flask, Response, abort, jsonify, make_response, redirect, request
from markupsafe import escape
from redis import BlockingConnectionPool, Redis, RedisError, WatchError
from redis.backoff import NoBackoff
from redis.retry import Retry
from werkzeug.serving import WSGIRequestHandler

HAS = sys.argv[1:]
TTL = int(os.environ.get("TTL", "2"))
# How long old tokens remain valid, in milliseconds, for requests that a browser has already sent.
GRACE_MS = 5000
# The minimum age of a session whose visits fail with the peculiarity "errors later" or, only once, with "one error
# later", in seconds.
ERRORS_AFTER = 3
failed = set()
# The maximum lifetime of a session with the peculiarity "maximum lifetime", in seconds.
MAX_AGE = 10
COOKIE = "__Host-sid" if "cookie name" in HAS else "session"
STATUS = next((status for status in (301, 302) if str(status) in HAS), 303)
ROOT = "/shop" if "sub-path" in HAS else ""

app = Flask(__name__)


def has(peculiarity):
    return peculiarity in HAS


def new_client():
    options = {
        "decode_responses": True,
        "socket_connect_timeout": 1,
        "socket_timeout": 1,
        "retry": Retry(NoBackoff(), 2 if has("retries") else 0),
    }
    if has("RESP3"):
        options["protocol"] = 3
    if has("small pool"):
        pool = BlockingConnectionPool.from_url(os.environ["REDIS_URL"], max_connections=3, timeout=3, **options)
        return Redis(connection_pool=pool)
    return Redis.from_url(os.environ["REDIS_URL"], **options)


redis = new_client()


def key_of(token):
    return "shop/sess/" + hashlib.sha256(token.encode()).hexdigest()


class HashStore:
    """A store with a hash for each session, as in the tutorial."""

    def create(self, token, name):
        with redis.pipeline() as pipe:
            pipe.hset(key_of(token), mapping={"username": name, "visits": 0, "created": time.time()})
            pipe.expire(key_of(token), TTL)
            pipe.execute()

    def visit(self, token):
        key = key_of(token)
        with redis.pipeline() as pipe:
            pipe.hincrby(key, "visits", 1)
            pipe.expire(key, TTL)
            pipe.hgetall(key)
            if has("rate limit"):
                pipe.incr("shop/rate/" + request.remote_addr)
                pipe.expire("shop/rate/" + request.remote_addr, 60, nx=True)
            if has("counter for all"):
                pipe.incr("shop/visits")
            session = pipe.execute()[2]
        is_old = has("maximum lifetime") and time.time() - float(session.get("created", 0)) > MAX_AGE
        if "username" not in session or is_old:
            redis.delete(key)
            return None
        if time.time() - float(session["created"]) > ERRORS_AFTER:
            if has("errors later") or has("one error later") and token not in failed:
                failed.add(token)
                abort(503)
        return session["username"], session["visits"]

    def end(self, token):
        redis.delete(key_of(token))


class LuaStore(HashStore):
    """A store with one Lua script for each operation. The replies contain strings."""

    visit_script = redis.register_script(
        "if redis.call('HEXISTS', KEYS[1], 'username') == 0 then return false end "
        "redis.call('HINCRBY', KEYS[1], 'visits', 1) redis.call('EXPIRE', KEYS[1], ARGV[1]) "
        "return redis.call('HMGET', KEYS[1], 'username', 'visits')"
    )

    def visit(self, token):
        found = self.visit_script(keys=[key_of(token)], args=[TTL])
        return tuple(found) if found else None


class RotatingStore(LuaStore):
    """A store that creates a new token at each request. For a short time, the old token refers to the new one."""

    visit_script = redis.register_script(
        "local key = KEYS[1] local to = redis.call('HGET', key, 'moved') "
        "for _ = 1, 100 do if not to then break end key = to to = redis.call('HGET', key, 'moved') end "
        "if redis.call('HEXISTS', key, 'username') == 0 then return false end "
        "redis.call('HINCRBY', key, 'visits', 1) "
        "local session = redis.call('HMGET', key, 'username', 'visits') "
        "redis.call('RENAME', key, KEYS[2]) redis.call('EXPIRE', KEYS[2], ARGV[1]) "
        "redis.call('HSET', key, 'moved', KEYS[2]) redis.call('PEXPIRE', key, ARGV[2]) "
        "return session"
    )
    end_script = redis.register_script(
        "local key = KEYS[1] for _ = 1, 100 do local to = redis.call('HGET', key, 'moved') redis.call('DEL', key) "
        "if not to then break end key = to end"
    )

    def visit(self, token):
        request.new_token = secrets.token_urlsafe(32)
        found = self.visit_script(keys=[key_of(token), key_of(request.new_token)], args=[TTL, GRACE_MS])
        return tuple(found) if found else None

    def end(self, token):
        self.end_script(keys=[key_of(token)])


class JsonStore(HashStore):
    """A store with a JSON string for each session, which it changes with WATCH, MULTI and EXEC."""

    def create(self, token, name):
        redis.set(key_of(token), json.dumps({"username": name, "visits": 0}), ex=TTL)

    def visit(self, token):
        key = key_of(token)
        while True:
            with redis.pipeline() as pipe:
                try:
                    pipe.watch(key)
                    value = pipe.get(key)
                    if value is None:
                        return None
                    session = json.loads(value)
                    session["visits"] += 1
                    pipe.multi()
                    pipe.set(key, json.dumps(session), ex=TTL)
                    pipe.execute()
                    return session["username"], session["visits"]
                except WatchError:
                    continue


class TwoKeysStore(HashStore):
    """A store with the name and the number in separate keys."""

    script = redis.register_script(
        "local name = redis.call('GETEX', KEYS[1], 'EX', ARGV[1]) if not name then return false end "
        "local visits = redis.call('INCR', KEYS[2]) redis.call('EXPIRE', KEYS[2], ARGV[1]) return {name, visits}"
    )

    def create(self, token, name):
        redis.set(key_of(token) + "/name", name, ex=TTL)

    def visit(self, token):
        found = self.script(keys=[key_of(token) + "/name", key_of(token) + "/visits"], args=[TTL])
        return tuple(found) if found else None

    def end(self, token):
        redis.delete(key_of(token) + "/name", key_of(token) + "/visits")


class TombstoneStore(LuaStore):
    """A store in which a logout leaves a mark, so that a late request is recognised."""

    def end(self, token):
        with redis.pipeline() as pipe:
            pipe.delete(key_of(token))
            pipe.hset(key_of(token), "ended", 1)
            pipe.expire(key_of(token), TTL)
            pipe.execute()


class BusyStore(HashStore):
    """A store in which visits of one session time out when many arrive at once, but Redis counts them 60 visits later."""

    def __init__(self):
        self.lock = threading.Lock()
        self.at_once = 0
        self.timed_out = []
        self.later_visits = 0

    def visit(self, token):
        with self.lock:
            self.at_once += 1
            times_out = self.at_once > 20 and len(self.timed_out) < 10 and set(self.timed_out) <= {token}
            if times_out:
                self.timed_out.append(token)
            self.later_visits += bool(self.timed_out)
            late = self.timed_out if self.later_visits == 60 else []
        try:
            if times_out:
                raise RedisError("no reply in time")
            for late_token in late:
                super().visit(late_token)
            return super().visit(token)
        finally:
            with self.lock:
                self.at_once -= 1


STORES = {
    "Lua": LuaStore,
    "busy once": BusyStore,
    "rotates at each request": RotatingStore,
    "JSON value": JsonStore,
    "two keys": TwoKeysStore,
    "tombstone": TombstoneStore,
}
store = next((STORES[name] for name in HAS if name in STORES), HashStore)()


def signature(token):
    return hmac.new(os.environ["SECRET_KEY"].encode(), token.encode(), "sha256").hexdigest()


def cookie_value(token):
    if has("quoted cookie"):
        return f'"{token}"'
    return f"{token}.{signature(token)}" if has("signed id") else token


def token_of_request():
    value = request.cookies.get(COOKIE)
    if value is not None and has("quoted cookie"):
        return value.strip('"')
    if value is not None and has("signature in a second cookie"):
        return value if hmac.compare_digest(request.cookies.get(COOKIE + ".sig", ""), signature(value)) else None
    if value is None or not has("signed id"):
        return value
    token, _, found = value.partition(".")
    return token if hmac.compare_digest(found, signature(token)) else None


def set_cookie(response, token):
    secure = has("always secure") or has("cookie name")
    response.set_cookie(
        COOKIE, cookie_value(token), httponly=True, samesite="Strict", secure=secure, path=ROOT or "/"
    )
    if has("signature in a second cookie"):
        response.set_cookie(COOKIE + ".sig", signature(token), httponly=True, samesite="Strict")
    if has("language in a cookie"):
        response.set_cookie("language", "en")


def csrf_field():
    if not has("CSRF"):
        return ""
    token = request.cookies.get("csrf") or secrets.token_hex(16)
    request.csrf = token
    return f'<input type="hidden" name="csrf_token" value="{token}">'


def check_csrf():
    if has("CSRF") and request.form.get("csrf_token") != request.cookies.get("csrf", ""):
        abort(403)


@app.after_request
def finish(response):
    response.headers["Cache-Control"] = "no-store"
    if getattr(request, "csrf", None):
        response.set_cookie("csrf", request.csrf, samesite="Strict")
    if has("compression") and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.set_data(gzip.compress(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
    if has("keep-alive off"):
        response.headers["Connection"] = "close"
    return response


@app.errorhandler(RedisError)
def unavailable(error):
    return "Redis is unavailable", 503


def logged_out():
    if has("JSON"):
        return jsonify(error="not logged in"), 401
    if has("redirects to the login"):
        return redirect(ROOT + "/login", 302)
    response = make_response("<p>You are not logged in</p>")
    if has("lazy session") and COOKIE not in request.cookies:
        # This is an identifier that every visitor gets. It is stored in Redis only after the login.
        set_cookie(response, secrets.token_urlsafe(32))
    return response


@app.get(ROOT + "/")
def home():
    token = token_of_request()
    found = store.visit(token) if token else None
    if not found:
        return logged_out()
    name, visits = found
    if has("JSON"):
        return jsonify(user={"name": name}, visits=int(visits))
    logout = f'<form method="post" action="{ROOT}/logout">{csrf_field()}<button>Logout</button></form>'
    if has("logout by script"):
        logout = f"<script>fetch('{ROOT}/logout', {{method: 'POST'}})</script>"
    body = f"<p>Logged in as <b>{escape(name)}</b><p>Visits: <i>{visits}</i></p>{logout}"
    response = Response(iter([body[:20], body[20:]])) if has("chunked") else make_response(body)
    if has("rotates at each request"):
        set_cookie(response, request.new_token)
    return response


@app.get(ROOT + "/login")
def form():
    if has("JSON"):
        abort(405)
    return f"""<form action="/search"><input name="q"></form>
        <form method="post">{csrf_field()}<input name="username"><button>Login</button></form>"""


@app.post(ROOT + "/login")
def login():
    check_csrf()
    old = token_of_request()
    if old and has("ends the old session later"):
        threading.Thread(target=store.end, args=[old]).start()
    elif old:
        store.end(old)
    token = secrets.token_hex(16) if has("hexadecimal") else secrets.token_urlsafe(32)
    if has("name in the cookie"):
        token = request.form["username"]
    store.create(token, request.form["username"])
    if has("JSON"):
        response = make_response(jsonify(user={"name": request.form["username"]}), 201)
    else:
        response = redirect(ROOT + "/", STATUS)
    set_cookie(response, token)
    return response


@app.get(ROOT + "/logout")
def logout_is_post_only():
    # Some frameworks respond with 404, others with 405.
    abort(404 if has("no GET of the logout") or has("logout by script") else 405)


@app.post(ROOT + "/logout")
def logout():
    check_csrf()
    token = token_of_request()
    if token:
        store.end(token)
    response = redirect(ROOT + "/", STATUS)
    response.delete_cookie(COOKIE, path=ROOT or "/", httponly=True, samesite="Strict", secure=has("cookie name"))
    return response


if __name__ == "__main__":
    if has("slow start"):
        time.sleep(4)
    if has("HTTP/1.0"):
        WSGIRequestHandler.protocol_version = "HTTP/1.0"
    host = "::1" if has("IPv6 only") else "127.0.0.1"
    app.run(host, port=int(os.environ["PORT"]), threaded=not has("one thread"))
