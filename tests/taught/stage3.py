app = new_app(__name__)
redis = connect()

# lessons: 1 session, 3 visits, 4 visits


@app.get("/login")
def login_form():
    return FORM


app.run(port=int(os.environ["PORT"]))
