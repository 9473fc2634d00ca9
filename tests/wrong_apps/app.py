"""The tutorial's app, correct by default, with a switch for each mistake: python app.py STAGE [MISTAKE].

tests/check.rs lists the mistakes, and the checks that must fail for each of them.
"""

import base64
import hashlib
import json
import os
import pickle
import secrets
import sys
import time
import uuid

from flask import Flask, abort, redirect, request
from itsdangerous import BadSignature, URLSafeSerializer
from markupsafe import escape
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

STAGE = int(sys.argv[1])
MISTAKE = sys.argv[2] if len(sys.argv) > 2 else None
TTL = int(os.environ.get("TTL", "2"))

GREETING = "Hello" if MISTAKE == "other words" else "Logged in as"

app = Flask(__name__)
signer = URLSafeSerializer(os.environ["SECRET_KEY"])
in_memory = {}
numbers = iter(range(10**9, 10**10))

FORM = """<!doctype html><title>Login</title>
<form method="post"><input name="username"><button>Login</button></form>"""
LOGOUT = '<form method="post" action="/logout"><button>Logout</button></form>'


def wrong(*mistakes):
    return MISTAKE in mistakes


def new_client():
    timeout = None if wrong("no timeout") else 20 if wrong("long timeout") else 1
    retries = Retry(NoBackoff(), 3 if wrong("retries") else 0)
    return Redis.from_url(
        "redis://127.0.0.1:1" if wrong("other Redis") else os.environ["REDIS_URL"],
        decode_responses=not wrong("no decode_responses", "undecoded session is deleted"),
        socket_connect_timeout=timeout,
        socket_timeout=timeout,
        retry=retries,
    )


shared = new_client() if STAGE > 1 else None


def redis():
    if wrong("client per request"):
        return new_client()
    return shared


def page(body, status=200):
    headers = {"Cache-Control": "no-store"}
    if wrong("page is stored"):
        headers = {}
    return f"<!doctype html><title>Sessions</title><p>{body}</p>{LOGOUT}", status, headers


@app.errorhandler(RedisError)
def unavailable(error):
    if wrong("crash without Redis"):
        print("Redis is gone", flush=True)
        os._exit(3)
    if wrong("500"):
        return page("Internal error", 500)
    return page("Redis is unavailable", 503)


def shown(name):
    return name if wrong("name unescaped") else escape(name)


# Stages 1 to 3: the name in a signed cookie.


def user():
    value = request.cookies.get("session")
    if value is None:
        return None
    if wrong("unsigned cookie"):
        return value
    if wrong("optional signature"):
        signature = request.cookies.get("session.sig")
        return value if signature in (None, signer.dumps(value)) else None
    if wrong("unsigned JSON cookie"):
        try:
            return json.loads(base64.b64decode(value)).get("username")
        except ValueError:
            return None
    try:
        return signer.loads(value)
    except BadSignature:
        if wrong("bad cookie is an error"):
            raise
        return None


def count(name):
    key = f"sessiontut:user:{name}"
    if wrong("no prefix"):
        key = name
    if wrong("one key for all"):
        key = "sessiontut:user:all"
    if wrong("GET and SET"):
        visits = int(redis().get(key) or 0) + 1
        redis().set(key, visits, ex=TTL if STAGE > 2 else None)
        return visits
    if wrong("counts twice"):
        redis().hincrby(key, "visits", 1)
    if wrong("in memory"):
        in_memory[name] = in_memory.get(name, 0) + 1
        redis().hincrby(key, "visits", 1)
        return in_memory[name]
    if wrong("get-add-set"):
        visits = int(redis().hget(key, "visits") or 0) + 1
        redis().hset(key, "visits", visits)
        if STAGE > 2:
            redis().expire(key, TTL)
        return visits
    if wrong("reads the number again"):
        redis().hincrby(key, "visits", 1)
        return int(redis().hget(key, "visits"))
    if wrong("starts at 0"):
        return redis().hincrby(key, "visits", 1) - 1
    if STAGE == 2:
        return redis().hincrby(key, "visits", 1)
    if wrong("no TTL"):
        return redis().hincrby(key, "visits", 1)
    if wrong("EXPIRE first"):
        redis().expire(key, TTL)
        return redis().hincrby(key, "visits", 1)
    if wrong("two commands"):
        visits = redis().hincrby(key, "visits", 1)
        redis().expire(key, TTL)
        return visits
    if wrong("TTL only at login"):
        return redis().hincrby(key, "visits", 1)
    if wrong("EXPIRE first in MULTI"):
        with redis().pipeline() as pipe:
            pipe.expire(key, TTL)
            pipe.hincrby(key, "visits", 1)
            return pipe.execute()[1]
    if wrong("another key without a TTL"):
        redis().hincrby(f"sessiontut:total:{name}", "visits", 1)
    if wrong("TTL in milliseconds"):
        with redis().pipeline() as pipe:
            pipe.hincrby(key, "visits", 1)
            pipe.pexpire(key, TTL)
            return pipe.execute()[0]
    if wrong("TTL only on the first visit"):
        with redis().pipeline() as pipe:
            pipe.hincrby(key, "visits", 1)
            pipe.expire(key, TTL, nx=True)
            return pipe.execute()[0]
    with redis().pipeline(transaction=not wrong("pipeline without MULTI")) as pipe:
        pipe.hincrby(key, "visits", 1)
        pipe.expire(key, TTL)
        return pipe.execute()[0]


# Stage 4: a session store.


def key_of(token):
    if wrong("key is the token"):
        return f"sessiontut:session:{token}"
    return "sessiontut:session:" + hashlib.sha256(token.encode()).hexdigest()


def create(name):
    old = request.cookies.get("session")
    token = secrets.token_urlsafe(32)
    if wrong("token is the name"):
        token = name
    if wrong("token is a digest of the name"):
        token = hashlib.sha256(name.encode()).hexdigest()
    if wrong("token is the time"):
        token = str(uuid.uuid1())
    if wrong("token is a counter"):
        token = f"{next(numbers):032d}"
    if wrong("short token"):
        token = secrets.token_hex(4)
    if wrong("token is adopted", "no rotation") and old:
        if wrong("token is adopted") or redis().exists(key_of(old)):
            token = old
    key = key_of(token)
    if old and not wrong("old session stays", "token is adopted", "no rotation"):
        redis().delete(key_of(old))
    fields = {"username": name, "visits": 0}
    if wrong("pickle"):
        redis().set(key + ":data", pickle.dumps({"username": name}), ex=TTL)
    if wrong("login in two commands"):
        redis().hset(key, mapping=fields)
        redis().expire(key, TTL)
        return token
    try:
        store(key, fields)
    except RedisError:
        if not wrong("login ignores errors"):
            raise
    return token


def store(key, fields):
    with redis().pipeline() as pipe:
        pipe.delete(key)
        pipe.hset(key, mapping=fields)
        if not wrong("TTL forgotten at login"):
            pipe.expire(key, TTL)
        pipe.execute()


def visit(token):
    key = key_of(token)
    if wrong("KEYS"):
        redis().keys("sessiontut:none:*")
    if wrong("SCAN"):
        redis().scan(0, match="sessiontut:none:*")
    if wrong("looks before it counts"):
        if not redis().exists(key):
            return None
        with redis().pipeline() as pipe:
            pipe.hincrby(key, "visits", 1)
            pipe.expire(key, TTL)
            pipe.hgetall(key)
            return {"username": "", **pipe.execute()[-1]}
    if wrong("load and save"):
        session = redis().hgetall(key)
        if "username" not in session:
            return None
        session["visits"] = int(session["visits"]) + 1
        with redis().pipeline() as pipe:
            pipe.hset(key, mapping=session)
            pipe.expire(key, TTL)
            pipe.execute()
        return session
    with redis().pipeline() as pipe:
        pipe.hincrby(key, "visits", 1)
        if not wrong("TTL forgotten at a visit"):
            pipe.expire(key, TTL)
        pipe.hgetall(key)
        session = pipe.execute()[-1]
    if wrong("visit fails"):
        raise ValueError("too many values to unpack")
    if wrong("no decode_responses"):
        session = {name.decode(): value for name, value in session.items()}
    if "username" not in session:
        if not wrong("made-up token leaves a key"):
            redis().delete(key)
        return None
    return session


@app.get("/")
def home():
    if STAGE < 4:
        name = user()
        if name is None:
            return page("You are not logged in")
        if wrong("second cookie is trusted"):
            name = request.cookies.get("user", name)
        if STAGE == 1:
            return page(f"{GREETING} {shown(name)}")
        if wrong("count in the cookie"):
            visits = int(request.cookies.get("visits", "0")) + 1
            response = app.make_response(page(f"{GREETING} {shown(name)}<br>Visits: {visits}"))
            response.set_cookie("visits", str(visits), httponly=True, samesite="Lax")
            return response
        return page(f"{GREETING} {shown(name)}<br>Visits: {count(name)}")
    token = request.args.get("sid") if wrong("token in the URL") else request.cookies.get("session")
    if token is None and wrong("session for everyone"):
        token = secrets.token_urlsafe(32)
        redis().hset(key_of(token), "visits", 0)
        redis().expire(key_of(token), TTL)
        response = app.make_response(page("You are not logged in"))
        set_cookie(response, token)
        return response
    if token is None and wrong("looks up nothing"):
        redis().hgetall("sessiontut:session:none")
    session = visit(token) if token else None
    if session is None:
        return page("You are not logged in")
    response = app.make_response(page(f"{GREETING} {shown(session['username'])}<br>Visits: {session['visits']}"))
    if wrong("prints tokens"):
        print(f"visit of {token}", flush=True)
    return response


@app.get("/login")
def form():
    return FORM


def set_cookie(response, value):
    response.set_cookie(
        "session",
        value,
        httponly=not wrong("not HttpOnly"),
        samesite=None if wrong("no SameSite") else "None" if wrong("SameSite=None") else "Lax",
        path="/login" if wrong("cookie for the login only") else "/",
        max_age=TTL if wrong("cookie is not renewed") else None,
    )


@app.post("/login")
def login():
    name = request.form["username"]
    if wrong("second login is ignored") and request.cookies.get("session"):
        return redirect("/", 303)
    if wrong("login never answers"):
        time.sleep(3600)
    value = create(name) if STAGE == 4 else signer.dumps(name)
    if wrong("unsigned cookie", "optional signature"):
        value = name
    if wrong("unsigned JSON cookie"):
        value = base64.b64encode(json.dumps({"username": name}).encode()).decode()
    if wrong("TTL only at login"):
        with redis().pipeline() as pipe:
            pipe.hset(f"sessiontut:user:{name}", "name", name)
            pipe.expire(f"sessiontut:user:{name}", TTL)
            pipe.execute()
    if wrong("token in the URL"):
        return redirect(f"/?sid={value}", 303)
    response = page("Welcome") if wrong("login does not redirect home") else redirect("/", 303)
    if wrong("login leads elsewhere"):
        response = redirect("/login", 303)
    if wrong("redirect with 307"):
        response = redirect("/", 307)
    response = app.make_response(response)
    if wrong("second cookie is trusted", "second cookie with the name"):
        response.set_cookie("user", name, httponly=True, samesite="Lax")
    if wrong("optional signature"):
        response.set_cookie("session.sig", signer.dumps(value), httponly=True, samesite="Lax")
    set_cookie(response, value)
    return response


@app.route("/logout", methods=["GET", "POST"])
def logout():
    if wrong("no logout"):
        abort(404)
    is_prefetch = "prefetch" in request.headers.get("Sec-Purpose", "")
    if request.method == "GET" and not wrong("logout by prefetch" if is_prefetch else "logout by link"):
        return redirect("/", 303)
    response = redirect("/", 307 if wrong("logout redirects with 307") else 303)
    if wrong("logout does nothing"):
        return response
    token = request.cookies.get("session")
    if wrong("logout deletes another key"):
        redis().delete(f"sessiontut:session:{token}")
    elif STAGE == 4 and token and not wrong("logout only deletes the cookie"):
        redis().delete(key_of(token))
    if not wrong("cookie stays"):
        response.delete_cookie("session", httponly=True, samesite="Lax")
    return response


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
