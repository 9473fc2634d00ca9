# lessons: 5 limits


class SessionStore:
    def __init__(self, redis):
        self.redis = redis

    # lessons: 5 create, 5 visit, 5 end


# lessons: 5 index, 5 login


@app.get("/login")
def login_form():
    return FORM


app.run(port=int(os.environ["PORT"]))
