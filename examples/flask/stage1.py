"""Stage 1: the whole session is a signed cookie. Redis is not used."""

from flask import redirect, session
from markupsafe import escape

from common import FORM, new_app, page, posted_name, serve

app = new_app(__name__)


# region session
@app.get("/")
def index():
    name = session.get("username")
    if name is None:
        return page("You are not logged in")
    return page(f"Logged in as {escape(name)}")


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
# endregion session


@app.get("/login")
def login_form():
    return FORM


if __name__ == "__main__":
    serve(app)
