"""The tutorial's app with Django's sessions in its Redis cache."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import path
from django.utils.html import escape
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

TTL = int(os.environ.get("TTL", "2"))

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        f"{__name__}.Unavailable",
    ],
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)},
        }
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SESSION_COOKIE_AGE=TTL,
)


class Unavailable:
    """Responds with 503 if Redis is unavailable."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if isinstance(exception, RedisError):
            return HttpResponse("Redis is unavailable", status=503)


def form(request, action, content):
    token = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    return f'<form method="post" action="{action}">{token}{content}</form>'


def home(request):
    if "username" not in request.session:
        return HttpResponse("You are not logged in")
    request.session["visits"] += 1
    name, visits = escape(request.session["username"]), request.session["visits"]
    logout = form(request, "/logout", "<button>Logout</button>")
    return HttpResponse(f"<p>Logged in as {name}<br>Visits: {visits}</p>{logout}")


def login(request):
    if request.method != "POST":
        return HttpResponse(form(request, "/login", '<input name="username"><button>Login</button>'))
    request.session.flush()
    request.session["username"] = request.POST["username"]
    request.session["visits"] = 0
    return HttpResponseRedirect("/")


def logout(request):
    if request.method == "POST":
        request.session.flush()
    return HttpResponseRedirect("/")


urlpatterns = [path("", home), path("login", login), path("logout", logout)]

if __name__ == "__main__":
    sys.modules["django_app"] = sys.modules[__name__]
    execute_from_command_line(["django_app", "runserver", "--noreload", f"127.0.0.1:{os.environ['PORT']}"])
