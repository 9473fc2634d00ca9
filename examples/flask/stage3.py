"""Stage 3: after 10 seconds without a visit, the count starts from 1 again."""

from flask import redirect, session
from markupsafe import escape

from common import FORM, connect, new_app, page, posted_name, serve

app = new_app(__name__)
redis = connect()


# region visits
def count_visit(name):
    key = f"sessiontut:user:{name}"
    with redis.pipeline() as pipe:  # MULTI … EXEC
        pipe.hincrby(key, "visits", 1)
        pipe.expire(key, 10)
        visits, _ = pipe.execute()
    return visits
# endregion visits


@app.get("/")
def index():
    name = session.get("username")
    if name is None:
        return page("You are not logged in")
    visits = count_visit(name)
    return page(f"Logged in as {escape(name)}<br>Visits: {visits}")


@app.get("/login")
def login_form():
    return FORM


@app.post("/login")
def login():
    name = posted_name()
    session.clear()
    session["username"] = name
    return redirect("/", 303)


@app.get("/logout")
def logout():
    session.clear()
    return redirect("/", 303)


if __name__ == "__main__":
    serve(app)
