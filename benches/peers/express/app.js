// The peer that uses express with express-session and connect-redis.
"use strict";

const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");

const filling = "<p>The quick brown fox jumps over the lazy dog.</p>\n"
  .repeat(Number(process.env.PAGE_BYTES) / 50 + 1)
  .slice(0, Number(process.env.PAGE_BYTES));
const page = (text) => text + filling.slice(text.length);

async function main() {
  const client = createClient({ url: process.env.REDIS_URL });
  await client.connect();
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(
    session({
      name: "session",
      store: new RedisStore({ client, ttl: 600 }),
      secret: "a secret of the benchmark alone",
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 600_000 },
    }),
  );
  app.post("/login", express.urlencoded({ extended: false }), (request, response, next) => {
    request.session.regenerate((fault) => {
      if (fault) return next(fault);
      request.session.username = request.body.username;
      request.session.visits = 0;
      response.redirect(303, "/");
    });
  });
  app.get("/", (request, response) => {
    const { username } = request.session;
    if (!username) return response.send(page("<h1>You are not logged in</h1>"));
    request.session.visits += 1;
    response.send(page(`<h1>Logged in as ${username}</h1><p>Visits: ${request.session.visits}</p>`));
  });
  app.listen(Number(process.env.PORT), "127.0.0.1", 1024);
}

main();
