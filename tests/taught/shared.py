import hashlib
import os
import secrets
import time

from flask import Flask, abort, make_response, redirect, request, session
from markupsafe import escape
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

FORM = '<form method="post"><input name="username"><button>Login</button></form>'

# lessons: 9 settings, 3 connect, 7 unavailable, 1 helpers


def posted_name():
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        abort(403)
    name = request.form.get("username", "").strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        abort(make_response(FORM, 422))
    return name


