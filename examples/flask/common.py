"""Code that all stages share: settings, the page, and validation of the login form."""

import os
import unicodedata

from flask import Flask, abort, make_response, request
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

FORM = """<!doctype html>
<title>Login</title>
<form method="post">
  <label>User name <input name="username" maxlength="64" required autofocus></label>
  <button>Login</button>
</form>
"""


# region settings
def new_app(name):
    app = Flask(name)
    app.secret_key = os.environ["SECRET_KEY"]
    # HttpOnly is Flask's default.
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.register_error_handler(RedisError, redis_is_unavailable)
    return app
# endregion settings


# region connect
def connect():
    return Redis.from_url(
        os.environ["REDIS_URL"],
        decode_responses=True,
        socket_connect_timeout=1,
        socket_timeout=1,
        # Never retry: if a reply is lost, the command may have been executed,
        # and a retry would count the visit twice.
        retry=Retry(NoBackoff(), 0),
    )
# endregion connect


# region unavailable
def redis_is_unavailable(error):
    text = "Redis is unavailable. Please try again."
    return page(text), 503, {"Retry-After": "2"}
# endregion unavailable


# region helpers
def page(body):
    return f"<!doctype html>\n<title>Sessions</title>\n<p>{body}</p>\n"
# endregion helpers


def posted_name():
    """Returns the form's user name. Aborts with 403 for a form from another site, and with 422 for an invalid name."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        abort(403)
    name = request.form.get("username", "").strip()
    has_control = any(unicodedata.category(letter) == "Cc" for letter in name)
    if not 1 <= len(name) <= 64 or has_control:
        abort(make_response(FORM, 422))
    return name


def serve(app):
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "5000")))
